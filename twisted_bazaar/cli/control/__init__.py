"""Asking a running node over its control socket."""
