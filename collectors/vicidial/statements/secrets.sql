SELECT COUNT(*),
       GROUP_CONCAT(CONCAT_WS(x'1F', IFNULL(login, ''), IFNULL(pass, ''), IFNULL(conf_secret, '')) SEPARATOR x'1E')
FROM phones
GROUP BY server_ip
