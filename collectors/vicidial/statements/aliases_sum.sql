SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', alias_id, alias_name, logins_list)))
FROM phones_alias
