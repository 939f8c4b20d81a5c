-- For `hotdesk readiness` to check that an alias's phones have the same passwords. Without it they are not compared, and
-- all else works. A collector compares them in its own memory; neither they nor a digest of them leave it.
GRANT SELECT (pass, conf_secret) ON asterisk.phones TO 'hotdesk'@'%';
