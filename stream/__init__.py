"""The log that records travel on: one small interface, with Kafka or an embedded SQLite file behind it."""
