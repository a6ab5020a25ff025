"""The bugs of L{docs/promises.md}, to be planted again: C{python -m tests.planted}."""
