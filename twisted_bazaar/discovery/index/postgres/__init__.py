"""The directory of an index server in PostgreSQL, which several servers share."""
