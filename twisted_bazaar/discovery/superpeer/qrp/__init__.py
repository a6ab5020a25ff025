"""Gnutella's query routing protocol: slots of hashed words, tables of them, patches, and their exchange."""
