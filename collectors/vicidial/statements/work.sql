SELECT /*+ MAX_EXECUTION_TIME(200) */ server_ip, COUNT(*)
FROM vicidial_manager FORCE INDEX (serverstat)
WHERE server_ip IN %(asked)s AND status = 'UPDATED'
GROUP BY server_ip
