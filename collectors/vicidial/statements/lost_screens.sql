SELECT /*+ MAX_EXECUTION_TIME(200) */ SQL_BUFFER_RESULT kept.user, kept.server_ip
FROM vicidial_session_data AS kept
LEFT JOIN web_client_sessions AS known ON known.session_name = kept.session_name
WHERE known.session_name IS NULL
