"""Roles, a module each: each joins a way to find with a way to obtain, and is short."""
