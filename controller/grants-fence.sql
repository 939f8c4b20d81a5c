-- What hotdesk needs beyond collectors/grants.sql to keep VICIdial itself from sending logins to a dead dialer
-- (fence = true): it writes this one column, and nothing else.
GRANT UPDATE (active_agent_login_server) ON asterisk.servers TO 'hotdesk'@'%';
