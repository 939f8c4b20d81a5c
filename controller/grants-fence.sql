-- What hotdesk needs beyond collectors/grants.sql to close a dead dialer to the logins that VICIdial itself would send
-- (fence = true): it writes this one column, and nothing else.
GRANT UPDATE (active_agent_login_server) ON asterisk.servers TO 'hotdesk'@'%';
