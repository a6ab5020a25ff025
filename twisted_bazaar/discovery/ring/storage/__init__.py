"""Storage in a ring: replicas, anti-entropy, repair, reads."""
