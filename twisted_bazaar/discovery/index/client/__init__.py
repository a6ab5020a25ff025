"""A node that is registered with an index server: it publishes its list, and searches."""
