"""From VICIdial's database to records on the log. Reads only; a read-only account is enough.

`rows` and `observer` are pure: rows and the time in, records out. `database` holds the connection and the statements,
`collector` the loop.
"""
