-- What hotdesk needs beyond collectors/grants.sql and controller/grants.sql to end a session whose screen does not react
-- (emergency_logout = true): the steps of VICIdial's own admin page, and nothing else.
GRANT SELECT (agent_log_id), DELETE ON asterisk.vicidial_live_agents TO 'hotdesk'@'%';
GRANT SELECT (agent_log_id, user, pause_epoch, wait_epoch, talk_epoch, dispo_epoch, pause_sec, wait_sec, talk_sec,
              dispo_sec, pause_type),
      UPDATE (pause_sec, wait_sec, talk_sec, dispo_sec, pause_type) ON asterisk.vicidial_agent_log TO 'hotdesk'@'%';
GRANT SELECT (user_log_id, user, event), INSERT ON asterisk.vicidial_user_log TO 'hotdesk'@'%';
GRANT SELECT (record_id, event_code), INSERT ON asterisk.vicidial_admin_log TO 'hotdesk'@'%';
GRANT SELECT (server_ip, callerid), INSERT ON asterisk.vicidial_manager TO 'hotdesk'@'%';
