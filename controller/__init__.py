"""Records to state, ranking, incidents and actions.

`core` decides, `vicidial` writes into VICIdial, `runtime` follows the log, commits and carries out, `api` answers over
HTTP, `page` shows it to people. Each imports only those named before it.
"""
