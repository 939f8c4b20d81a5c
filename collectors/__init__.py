"""Collectors: turn VICIdial's database and the dialers' ports into records. A read-only account is enough.

`observer` and `vicidial.rows` are pure: rows and the time in, records out. So is `leadership`, the rule of which
collector works. `vicidial.database` holds the connection, `probes` ask the dialers, `collector` is the loop.
"""
