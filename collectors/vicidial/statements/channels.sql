SELECT /*+ MAX_EXECUTION_TIME(200) */ server_ip, extension
FROM live_sip_channels
WHERE (server_ip, extension) IN %(asked)s
UNION
SELECT server_ip, extension
FROM live_channels
WHERE (server_ip, extension) IN %(asked)s
