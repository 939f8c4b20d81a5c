SELECT SQL_BUFFER_RESULT alias_id, alias_name, logins_list
FROM phones_alias
