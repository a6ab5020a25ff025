"""Scheduling of requests: fair queueing by host, time slicing, rate limits."""
