"""The service of one node: its options, what is made of them once, and what runs it."""
