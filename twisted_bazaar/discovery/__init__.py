"""Ways to find who has something, one package each."""
