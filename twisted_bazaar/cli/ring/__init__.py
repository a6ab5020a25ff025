"""A member of a ring at a prompt."""
