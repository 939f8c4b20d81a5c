SELECT SQL_BUFFER_RESULT server_ip, COUNT(*), SUM(extension IS NULL OR extension = '')
FROM vicidial_confbridges
GROUP BY server_ip
