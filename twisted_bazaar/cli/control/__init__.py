"""The client of the control socket of a running node."""
