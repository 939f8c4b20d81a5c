SELECT MAX(user_log_id)
FROM vicidial_user_log
