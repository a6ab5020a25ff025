"""A role for twisted_bazaar that greets."""
