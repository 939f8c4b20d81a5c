"""The log: one small interface, with Kafka or one SQLite file behind it."""
