SELECT COUNT(*),
       GROUP_CONCAT(
         CONCAT_WS(x'1F', IFNULL(login, ''), IFNULL(server_ip, ''), IFNULL(extension, ''), IFNULL(active, ''),
                   IFNULL(protocol, ''), IFNULL(is_webphone, ''), IFNULL(peer_status, ''))
         SEPARATOR x'1E')
FROM phones
GROUP BY server_ip
