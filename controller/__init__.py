"""The controller: turns records into state, rankings, incidents and actions.

`core` decides, `vicidial` writes into VICIdial, `runtime` follows the log, commits plans and carries out actions, `api`
answers over HTTP, `page` shows it to people. Each imports only those named before it.
"""
