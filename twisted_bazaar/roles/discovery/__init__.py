"""The ways to find that C{--via} names: each joins what is in C{discovery} to what a node carries for it."""
