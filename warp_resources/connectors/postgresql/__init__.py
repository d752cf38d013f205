"""PostgreSQL as a destination and as a state store."""
