"""Benchmarks: hotdesk's cost and speed, compared with alternatives in the same run.

Machines are noisy, so goals are ratios if a ratio makes sense, and compared things run side by side.
"""
