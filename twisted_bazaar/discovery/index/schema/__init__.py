"""The forms of a directory in a database; see L{twisted_bazaar.schema_migrations}."""
