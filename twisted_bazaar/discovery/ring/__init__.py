"""Finding by a ring: each node and each key has a place on a circle, and a key is kept by the node that follows it."""
