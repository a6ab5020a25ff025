"""Uploads: who is let in, who has a slot, and how fast it goes."""
