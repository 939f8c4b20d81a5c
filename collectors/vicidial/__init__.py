"""VICIdial's database: the connection, the statements, and what their rows mean."""
