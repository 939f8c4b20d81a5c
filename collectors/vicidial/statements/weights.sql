SELECT container_entry
FROM vicidial_settings_containers
WHERE container_id = 'AGENT_LOAD_BALANCING_WEIGHT'
