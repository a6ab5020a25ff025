"""What strangers must not be able to do, tried on real daemons: C{python -m tests.attack}."""
