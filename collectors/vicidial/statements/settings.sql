SELECT pllb_grouping_limit, agent_logout_link
FROM system_settings
LIMIT 1
