"""Where the books of a sale are kept: memory, SQLite, PostgreSQL, behind one interface."""
