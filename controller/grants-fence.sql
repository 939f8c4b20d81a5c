-- What hotdesk needs beyond collectors/grants.sql to close a dead dialer to the logins that VICIdial itself would send
-- (fence = true, or where no login hook asks): it writes this one column, and nothing else.
GRANT UPDATE (active_agent_login_server) ON asterisk.servers TO 'hotdesk'@'%';
-- To know whether hotdesk or a person closed a dialer, if an answer did not come: VICIdial's log of changes by people.
GRANT SELECT (event_date, event_section, record_id) ON asterisk.vicidial_admin_log TO 'hotdesk'@'%';
