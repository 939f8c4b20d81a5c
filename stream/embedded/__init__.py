"""The log as one SQLite file, for one machine."""
