-- The columns of VICIdial's tables that hotdesk reads or writes, and those that its simulated agents need.
-- Written from the known behaviour of those tables: engines, keys and missing keys are part of it, since reading
-- vicidial_live_agents by server scans the table, and a database restart empties tables with ENGINE=MEMORY.

CREATE TABLE servers (
  server_id VARCHAR(10) NOT NULL,
  server_description VARCHAR(255),
  server_ip VARCHAR(15) NOT NULL,
  active ENUM('Y','N') NOT NULL DEFAULT 'Y',
  asterisk_version VARCHAR(20) DEFAULT '16.30.1',
  max_vicidial_trunks SMALLINT UNSIGNED DEFAULT 96,
  telnet_host VARCHAR(20) NOT NULL DEFAULT 'localhost',
  telnet_port INT NOT NULL DEFAULT 5038,
  ASTmgrUSERNAME VARCHAR(20) NOT NULL DEFAULT 'cron',
  ASTmgrSECRET VARCHAR(20) NOT NULL DEFAULT '1234',
  active_asterisk_server ENUM('Y','N') NOT NULL DEFAULT 'Y',
  active_agent_login_server ENUM('Y','N') NOT NULL DEFAULT 'Y',
  active_twin_server_ip VARCHAR(15) DEFAULT '',
  conf_engine ENUM('MEETME','CONFBRIDGE') NOT NULL DEFAULT 'MEETME',
  sysload INT NOT NULL DEFAULT 0,
  channels_total SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  cpu_idle_percent SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  disk_usage VARCHAR(255) DEFAULT '1',
  generate_vicidial_conf ENUM('Y','N') DEFAULT 'Y',
  rebuild_conf_files ENUM('Y','N') DEFAULT 'N',
  PRIMARY KEY (server_ip),
  UNIQUE KEY server_id (server_id)
) ENGINE=MyISAM;

CREATE TABLE server_updater (
  server_ip VARCHAR(15) NOT NULL,
  last_update DATETIME,
  db_time TIMESTAMP,
  PRIMARY KEY (server_ip)
) ENGINE=MEMORY;

CREATE TABLE vicidial_live_agents (
  live_agent_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  user VARCHAR(20),
  server_ip VARCHAR(15) NOT NULL,
  conf_exten VARCHAR(20),
  extension VARCHAR(100),
  status ENUM('READY','QUEUE','INCALL','PAUSED','CLOSER','MQUEUE') DEFAULT 'PAUSED',
  lead_id INT UNSIGNED NOT NULL DEFAULT 0,
  campaign_id VARCHAR(20),
  uniqueid VARCHAR(20),
  callerid VARCHAR(20),
  channel VARCHAR(100),
  last_update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  last_state_change DATETIME,
  call_server_ip VARCHAR(15),
  comments VARCHAR(20),
  agent_log_id INT UNSIGNED DEFAULT 0,
  on_hook_agent ENUM('Y','N') DEFAULT 'N',
  ra_user VARCHAR(20) DEFAULT '',
  external_hangup VARCHAR(1) DEFAULT '',
  external_status VARCHAR(255) NOT NULL DEFAULT '',
  external_pause VARCHAR(20) DEFAULT '',
  PRIMARY KEY (live_agent_id),
  KEY user (user)
) ENGINE=MyISAM;

CREATE TABLE phones (
  extension VARCHAR(100),
  dialplan_number VARCHAR(20),
  voicemail_id VARCHAR(10),
  server_ip VARCHAR(15),
  login VARCHAR(15),
  pass VARCHAR(100),
  status VARCHAR(10),
  fullname VARCHAR(50),
  local_gmt VARCHAR(6) DEFAULT '-5.00',
  outbound_cid VARCHAR(20),
  phone_context VARCHAR(20) DEFAULT 'default',
  user_group VARCHAR(20) DEFAULT '---ALL---',
  conf_secret VARCHAR(100) DEFAULT 'test',
  active ENUM('Y','N') DEFAULT 'Y',
  protocol ENUM('SIP','PJSIP','Zap','IAX2','EXTERNAL') DEFAULT 'SIP',
  is_webphone ENUM('Y','N','Y_API_LAUNCH') DEFAULT 'N',
  peer_status ENUM('UNKNOWN','REGISTERED','UNREGISTERED','REACHABLE','LAGGED','UNREACHABLE') DEFAULT 'UNKNOWN',
  ping_time SMALLINT UNSIGNED,
  UNIQUE KEY extension_server (extension, server_ip),
  KEY login (login)
) ENGINE=MyISAM;

CREATE TABLE phones_alias (
  alias_id VARCHAR(20) NOT NULL,
  alias_name VARCHAR(50),
  logins_list VARCHAR(255),
  user_group VARCHAR(20) DEFAULT '---ALL---',
  PRIMARY KEY (alias_id)
) ENGINE=MyISAM;

CREATE TABLE vicidial_conferences (
  conf_exten INT UNSIGNED NOT NULL,
  server_ip VARCHAR(15) NOT NULL,
  extension VARCHAR(100),
  UNIQUE KEY room_server (conf_exten, server_ip)
) ENGINE=MyISAM;

CREATE TABLE vicidial_confbridges (
  conf_exten INT UNSIGNED NOT NULL,
  server_ip VARCHAR(15) NOT NULL,
  extension VARCHAR(100),
  UNIQUE KEY room_server (conf_exten, server_ip)
) ENGINE=MyISAM;

CREATE TABLE vicidial_campaigns (
  campaign_id VARCHAR(8) NOT NULL,
  campaign_name VARCHAR(40),
  active ENUM('Y','N') DEFAULT 'Y',
  pllb_grouping ENUM('DISABLED','ONE_SERVER_ONLY','CASCADING') DEFAULT 'DISABLED',
  pllb_grouping_limit SMALLINT DEFAULT 50,
  PRIMARY KEY (campaign_id)
) ENGINE=MyISAM;

CREATE TABLE system_settings (
  pllb_grouping_limit SMALLINT DEFAULT 100,
  agent_logout_link ENUM('0','1','2','3','4') DEFAULT '1',
  vdc_agent_api_active ENUM('0','1') DEFAULT '1',
  reload_timestamp DATETIME
) ENGINE=MyISAM;

CREATE TABLE vicidial_settings_containers (
  container_id VARCHAR(40) NOT NULL,
  container_type VARCHAR(40) DEFAULT 'OTHER',
  container_entry MEDIUMTEXT,
  PRIMARY KEY (container_id)
) ENGINE=MyISAM;

CREATE TABLE vicidial_users (
  user_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  user VARCHAR(20) NOT NULL,
  pass VARCHAR(100) NOT NULL,
  full_name VARCHAR(50),
  user_level TINYINT UNSIGNED DEFAULT 1,
  user_group VARCHAR(20),
  phone_login VARCHAR(20),
  phone_pass VARCHAR(100),
  active ENUM('Y','N') DEFAULT 'Y',
  api_only_user ENUM('0','1') DEFAULT '0',
  vdc_agent_api_access ENUM('0','1') DEFAULT '0',
  api_allowed_functions VARCHAR(1000) DEFAULT ' ALL_FUNCTIONS ',
  ast_admin_access ENUM('0','1') DEFAULT '0',
  ast_delete_phones ENUM('0','1') DEFAULT '0',
  PRIMARY KEY (user_id),
  UNIQUE KEY user (user)
) ENGINE=MyISAM;

CREATE TABLE vicidial_statuses (
  status VARCHAR(6) NOT NULL,
  status_name VARCHAR(30),
  selectable ENUM('Y','N'),
  PRIMARY KEY (status)
) ENGINE=MyISAM;

CREATE TABLE vicidial_campaign_statuses (
  status VARCHAR(6) NOT NULL,
  status_name VARCHAR(30),
  selectable ENUM('Y','N'),
  campaign_id VARCHAR(8),
  KEY campaign_id (campaign_id)
) ENGINE=MyISAM;

CREATE TABLE vicidial_auto_calls (
  auto_call_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  server_ip VARCHAR(15) NOT NULL,
  campaign_id VARCHAR(20),
  status ENUM('SENT','RINGING','LIVE','XFER','PAUSED','CLOSER','BUSY','DISCONNECT','IVR') DEFAULT 'PAUSED',
  lead_id INT UNSIGNED NOT NULL DEFAULT 0,
  uniqueid VARCHAR(20),
  callerid VARCHAR(20),
  channel VARCHAR(100),
  call_time DATETIME,
  PRIMARY KEY (auto_call_id)
) ENGINE=MEMORY;

CREATE TABLE live_channels (
  channel VARCHAR(100) NOT NULL,
  server_ip VARCHAR(15) NOT NULL,
  extension VARCHAR(100)
) ENGINE=MEMORY;

CREATE TABLE vicidial_session_data (
  session_name VARCHAR(40) UNIQUE NOT NULL,
  user VARCHAR(20),
  campaign_id VARCHAR(8),
  server_ip VARCHAR(15) NOT NULL,
  conf_exten VARCHAR(20),
  extension VARCHAR(100) NOT NULL,
  login_time DATETIME NOT NULL
) ENGINE=MyISAM;

CREATE TABLE web_client_sessions (
  extension VARCHAR(100) NOT NULL,
  server_ip VARCHAR(15) NOT NULL,
  program ENUM('agc','vicidial','monitor','other') DEFAULT 'agc',
  start_time DATETIME NOT NULL,
  session_name VARCHAR(40) UNIQUE NOT NULL
) ENGINE=MEMORY;

CREATE TABLE live_sip_channels (
  channel VARCHAR(100) NOT NULL,
  server_ip VARCHAR(15) NOT NULL,
  extension VARCHAR(100)
) ENGINE=MEMORY;

CREATE TABLE vicidial_live_inbound_agents (
  user VARCHAR(20) NOT NULL,
  group_id VARCHAR(20) NOT NULL,
  group_weight TINYINT DEFAULT 0,
  calls_today SMALLINT UNSIGNED DEFAULT 0,
  last_call_time DATETIME,
  UNIQUE KEY user_group (user, group_id)
) ENGINE=MyISAM;

CREATE TABLE vicidial_user_log (
  user_log_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  user VARCHAR(20),
  event VARCHAR(50),
  campaign_id VARCHAR(8),
  event_date DATETIME,
  event_epoch INT UNSIGNED,
  user_group VARCHAR(20),
  session_id VARCHAR(20),
  server_ip VARCHAR(15),
  extension VARCHAR(50),
  phone_login VARCHAR(15),
  server_phone VARCHAR(15),
  PRIMARY KEY (user_log_id),
  KEY user (user)
) ENGINE=MyISAM;

CREATE TABLE vicidial_agent_log (
  agent_log_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  user VARCHAR(20),
  server_ip VARCHAR(15) NOT NULL,
  event_time DATETIME,
  lead_id INT UNSIGNED,
  campaign_id VARCHAR(8),
  user_group VARCHAR(20),
  pause_epoch INT UNSIGNED,
  pause_sec SMALLINT UNSIGNED DEFAULT 0,
  wait_epoch INT UNSIGNED,
  wait_sec SMALLINT UNSIGNED DEFAULT 0,
  talk_epoch INT UNSIGNED,
  talk_sec SMALLINT UNSIGNED DEFAULT 0,
  dispo_epoch INT UNSIGNED,
  dispo_sec SMALLINT UNSIGNED DEFAULT 0,
  status VARCHAR(6),
  sub_status VARCHAR(6),
  pause_type ENUM('UNDEFINED','SYSTEM','AGENT','API','ADMIN') DEFAULT 'UNDEFINED',
  PRIMARY KEY (agent_log_id),
  KEY user (user)
) ENGINE=MyISAM;

CREATE TABLE vicidial_admin_log (
  admin_log_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  event_date DATETIME NOT NULL,
  user VARCHAR(20) NOT NULL,
  ip_address VARCHAR(15) NOT NULL,
  event_section VARCHAR(30) NOT NULL,
  event_type VARCHAR(30) NOT NULL,
  record_id VARCHAR(50) NOT NULL,
  event_code VARCHAR(255) NOT NULL,
  event_sql MEDIUMTEXT,
  event_notes MEDIUMTEXT,
  user_group VARCHAR(20) DEFAULT '---ALL---',
  PRIMARY KEY (admin_log_id)
) ENGINE=MyISAM;

CREATE TABLE vicidial_manager (
  man_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  uniqueid VARCHAR(20),
  entry_date DATETIME,
  status ENUM('NEW','QUEUE','SENT','UPDATED','DEAD') NOT NULL,
  response ENUM('Y','N'),
  server_ip VARCHAR(15) NOT NULL,
  channel VARCHAR(100),
  action VARCHAR(20),
  callerid VARCHAR(20),
  cmd_line_b VARCHAR(100),
  cmd_line_c VARCHAR(100),
  cmd_line_d VARCHAR(200),
  cmd_line_e VARCHAR(100),
  cmd_line_f VARCHAR(100),
  cmd_line_g VARCHAR(100),
  cmd_line_h VARCHAR(100),
  cmd_line_i VARCHAR(100),
  cmd_line_j VARCHAR(100),
  cmd_line_k VARCHAR(100),
  PRIMARY KEY (man_id),
  KEY serverstat (server_ip, status)
) ENGINE=MyISAM;
