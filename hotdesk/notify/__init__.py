"""Notifications outside: the recipients of `[notify.NAME]`, and how each is sent a message."""
