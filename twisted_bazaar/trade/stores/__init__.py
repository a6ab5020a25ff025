"""Stores for the books of a sale: memory, SQLite, PostgreSQL, behind one interface."""
