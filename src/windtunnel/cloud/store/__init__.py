"""The home's SQLite: one writer, group commit; what was acknowledged is durable."""
