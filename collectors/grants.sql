-- All rights of hotdesk's collectors: read these columns. Run this as an administrator of the database, with a host
-- and a password of your own. Leave out the columns that your VICIdial does not have.
CREATE USER 'hotdesk'@'%' IDENTIFIED BY 'choose-a-password';
GRANT SELECT (server_ip, server_id, server_description, active, active_agent_login_server, active_asterisk_server,
              active_twin_server_ip, conf_engine) ON asterisk.servers TO 'hotdesk'@'%';
GRANT SELECT (server_ip, last_update, db_time) ON asterisk.server_updater TO 'hotdesk'@'%';
GRANT SELECT (live_agent_id, user, server_ip, extension, conf_exten, status, campaign_id, call_server_ip,
              external_pause, on_hook_agent, lead_id, callerid, last_update_time) ON asterisk.vicidial_live_agents
  TO 'hotdesk'@'%';
GRANT SELECT (server_ip, extension) ON asterisk.vicidial_conferences TO 'hotdesk'@'%';
GRANT SELECT (server_ip, extension) ON asterisk.vicidial_confbridges TO 'hotdesk'@'%';
GRANT SELECT (login, server_ip, extension, active, protocol, is_webphone, peer_status) ON asterisk.phones
  TO 'hotdesk'@'%';
GRANT SELECT (alias_id, alias_name, logins_list) ON asterisk.phones_alias TO 'hotdesk'@'%';
GRANT SELECT (campaign_id, pllb_grouping, pllb_grouping_limit) ON asterisk.vicidial_campaigns TO 'hotdesk'@'%';
GRANT SELECT (pllb_grouping_limit, agent_logout_link) ON asterisk.system_settings TO 'hotdesk'@'%';
GRANT SELECT (container_id, container_entry) ON asterisk.vicidial_settings_containers TO 'hotdesk'@'%';
GRANT SELECT (user_log_id, user, event, server_ip, phone_login) ON asterisk.vicidial_user_log TO 'hotdesk'@'%';
-- Optional: a sign of life where a heartbeat stands still; read only then.
GRANT SELECT (server_ip, status) ON asterisk.vicidial_manager TO 'hotdesk'@'%';
-- Optional: whether an agent's phone is in its conference room; read while a session is new.
GRANT SELECT (server_ip, extension) ON asterisk.live_sip_channels TO 'hotdesk'@'%';
GRANT SELECT (server_ip, extension) ON asterisk.live_channels TO 'hotdesk'@'%';
-- Optional: which agents' screens VICIdial no longer knows, as after a restart of the database.
GRANT SELECT (session_name, user, server_ip) ON asterisk.vicidial_session_data TO 'hotdesk'@'%';
GRANT SELECT (session_name) ON asterisk.web_client_sessions TO 'hotdesk'@'%';
