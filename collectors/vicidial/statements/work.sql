SELECT /*+ MAX_EXECUTION_TIME(200) */ server_ip, COUNT(*)
FROM vicidial_manager FORCE INDEX (serverstat)
WHERE server_ip IN %s AND status = 'UPDATED'
GROUP BY server_ip
