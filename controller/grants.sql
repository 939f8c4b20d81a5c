-- What hotdesk needs beyond collectors/grants.sql to move agents (mode = "act"): it writes these three columns of an
-- agent's own row, by which VICIdial's own screens log out, and nothing else.
GRANT UPDATE (external_pause, external_hangup, external_status) ON asterisk.vicidial_live_agents TO 'hotdesk'@'%';
-- To check that dead_call_status is a status that VICIdial knows.
GRANT SELECT (status) ON asterisk.vicidial_statuses TO 'hotdesk'@'%';
GRANT SELECT (status) ON asterisk.vicidial_campaign_statuses TO 'hotdesk'@'%';
