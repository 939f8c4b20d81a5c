SELECT user_log_id, user, server_ip, phone_login
FROM vicidial_user_log
WHERE user_log_id > {after} AND event = 'LOGIN'
ORDER BY user_log_id
LIMIT 2000
