"""Commands about simulations and traces."""
