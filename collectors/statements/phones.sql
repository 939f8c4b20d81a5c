SELECT SQL_BUFFER_RESULT login, server_ip, extension, active, protocol, is_webphone, peer_status
FROM phones
