"""Benchmarks: what hotdesk costs and how fast it is, beside what it is compared with, in the same run.

Machines are noisy, so goals are ratios where a ratio makes sense, and everything compared runs side by side.
"""
