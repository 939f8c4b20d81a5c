"""The runtime around the core: threads that follow the log, commit plans, carry out actions and count."""
