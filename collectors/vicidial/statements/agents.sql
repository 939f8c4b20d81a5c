SELECT COUNT(*),
       GROUP_CONCAT(
         CONCAT_WS(x'1F', live_agent_id, IFNULL(user, ''), IFNULL(server_ip, ''), IFNULL(extension, ''),
                   IFNULL(conf_exten, ''),
                   -- VICIdial's clean-up pauses agents whose tab sleeps, in a call too; a call that is over has no callerid
                   IF(status = 'PAUSED' AND lead_id > 0 AND callerid <> '', 'INCALL', IFNULL(status, '')),
                   IFNULL(campaign_id, ''), IFNULL(call_server_ip, ''),
                   IFNULL(external_pause, ''), IFNULL(on_hook_agent, ''), IFNULL(lead_id, 0))
         SEPARATOR x'1E')
FROM vicidial_live_agents
