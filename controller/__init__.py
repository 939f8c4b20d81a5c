"""Records to state, ranking and answers.

The core (`state`, `slots`, `ranking`, `picking`) is pure: it reads no clock and knows no client, and the same records
give the same answers today or in a year. Around it stand the adapters: the loop that follows the log, the API, the
metrics.
"""
