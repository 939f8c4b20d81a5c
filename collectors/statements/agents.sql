SELECT SQL_BUFFER_RESULT live_agent_id, user, server_ip, extension, conf_exten, status, campaign_id,
       call_server_ip, external_pause, on_hook_agent
FROM vicidial_live_agents
