SELECT SQL_BUFFER_RESULT server_ip, last_update, db_time,
       UNIX_TIMESTAMP(NOW(6)) - UNIX_TIMESTAMP(last_update)
FROM server_updater
