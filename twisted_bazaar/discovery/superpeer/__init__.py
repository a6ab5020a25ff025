"""Finding by super peers: leaves list what they have at two of them, and those ask each other."""
