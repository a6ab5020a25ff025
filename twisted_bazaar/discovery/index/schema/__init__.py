"""The forms of a directory in a database; see L{twisted_bazaar.database.schema_migrations}."""
