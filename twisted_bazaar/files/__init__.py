"""Obtaining files: a shared folder, and their transfer in verified chunks from many sources."""
