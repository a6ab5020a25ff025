"""What members of a ring keep for others: replicas, anti-entropy, repair, reads."""
