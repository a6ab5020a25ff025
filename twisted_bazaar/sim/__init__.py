"""The simulator: whole networks of production code in one process, in virtual time."""
