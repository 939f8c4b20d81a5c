"""Collectors: turn VICIdial's database and the dialers' ports into records. A read-only account is enough.

`observer` and `vicidial.rows` are pure: rows and the time in, records out. `vicidial.database` has the connection,
`probes` probe the dialers, `leadership` decides which collector is the leader, `collector` is the loop.
"""
