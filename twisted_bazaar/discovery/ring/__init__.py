"""Finding by a Chord ring: nodes and keys share one identifier circle, and the node after a key keeps it."""
