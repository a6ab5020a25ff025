"""Finding by super peers: weak peers list what they have at two of them, and those ask each other."""
