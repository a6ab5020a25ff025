"""Whose request comes next: fair queueing by host, time slicing, rate limits."""
