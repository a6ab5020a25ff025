"""Datagrams between nodes: one message in each, and nothing to an address that has not been validated."""
