-- The tables of which columns, or all, may be missing; a VICIdial has thousands more, one for each list with fields of its own.
-- Where last_update_time has no ON UPDATE, as an old schema made anew by MariaDB 10.10 or later, it says nothing.
SELECT table_name, column_name
FROM information_schema.columns
WHERE table_schema = DATABASE()
  AND table_name IN ('phones', 'server_updater', 'servers', 'system_settings', 'vicidial_campaigns', 'vicidial_confbridges',
                     'vicidial_live_agents', 'vicidial_settings_containers', 'vicidial_user_log')
  AND NOT (table_name = 'vicidial_live_agents' AND column_name = 'last_update_time' AND extra NOT LIKE '%on update%')
