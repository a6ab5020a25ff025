"""Finding by an index server: peers list there what they have, and ask it who has what."""
