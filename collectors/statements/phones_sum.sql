SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', login, server_ip, extension, active, protocol, is_webphone, peer_status,
                                     pass, conf_secret)))
FROM phones
