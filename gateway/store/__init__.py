"""The gateway's durable memory: one SQLite database, one connection, one thread."""
