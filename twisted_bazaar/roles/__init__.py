"""The menu: each role joins a way to find with a way to obtain, and is short."""
