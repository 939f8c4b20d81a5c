SELECT SQL_BUFFER_RESULT server_ip, server_id, server_description, active, active_agent_login_server,
       active_asterisk_server, active_twin_server_ip, conf_engine
FROM servers
