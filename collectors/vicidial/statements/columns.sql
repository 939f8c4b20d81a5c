-- Where last_update_time has no ON UPDATE, as an old schema made anew by MariaDB 10.10 or later, it says nothing.
SELECT table_name, column_name
FROM information_schema.columns
WHERE table_schema = DATABASE()
  AND NOT (table_name = 'vicidial_live_agents' AND column_name = 'last_update_time' AND extra NOT LIKE '%on update%')
