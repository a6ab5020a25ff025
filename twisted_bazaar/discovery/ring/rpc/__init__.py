"""Requests over datagrams: messages, timers from round trips, hedging, limits for each host."""
