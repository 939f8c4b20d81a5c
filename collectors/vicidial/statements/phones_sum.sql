SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', login, server_ip, extension, active, protocol, is_webphone, peer_status)))
FROM phones
