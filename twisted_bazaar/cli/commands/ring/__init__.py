"""Commands about a ring."""
