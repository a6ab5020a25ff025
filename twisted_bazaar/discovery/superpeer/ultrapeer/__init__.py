"""A super peer (Gnutella: ultrapeer): it answers for its leaves and passes queries on."""
