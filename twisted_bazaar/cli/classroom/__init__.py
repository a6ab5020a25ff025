"""A ring of a classroom in one window: peers as processes, a table of the ring, and words for a teacher."""
