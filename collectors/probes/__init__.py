"""Probes of the dialers' own ports: Asterisk's manager (AMI) and SIP."""
