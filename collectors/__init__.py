"""VICIdial's database and the dialers' ports to records on the log. Reads only; a read-only account is enough.

`observer` and `vicidial.rows` are pure: rows and the time in, records out. `vicidial.database` holds the connection,
`probes` ask the dialers, `leadership` says which collector works, `collector` is the loop.
"""
