-- What hotdesk needs beyond collectors/grants.sql to restore agents' screens after a restart of the database: it adds the
-- rows that were lost to the table of screens that VICIdial keeps in memory, from its own copy, and nothing else.
GRANT SELECT (extension, login_time) ON asterisk.vicidial_session_data TO 'hotdesk'@'%';
GRANT INSERT ON asterisk.web_client_sessions TO 'hotdesk'@'%';
