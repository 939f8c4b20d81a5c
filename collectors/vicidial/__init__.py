"""VICIdial's database: the connection, the statements, and the meaning of their rows."""
