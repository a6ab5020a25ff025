"""Tables in databases: connections to PostgreSQL, and schema migrations."""
