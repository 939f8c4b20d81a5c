SELECT COUNT(*),
       GROUP_CONCAT(CONCAT_WS(x'1F', alias_id, IFNULL(alias_name, ''), IFNULL(logins_list, '')) SEPARATOR x'1E')
FROM phones_alias
GROUP BY LEFT(alias_id, 1)
