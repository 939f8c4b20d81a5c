SELECT SQL_BUFFER_RESULT live_agent_id, TIMESTAMPDIFF(SECOND, last_update_time, NOW())
FROM vicidial_live_agents
WHERE last_update_time < NOW() - INTERVAL 90 SECOND
  AND extension NOT LIKE 'R%'
