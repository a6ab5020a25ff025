"""Commands about goods and orders."""
