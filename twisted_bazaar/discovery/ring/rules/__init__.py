"""The sans-IO rules of a ring: Chord with Zave's corrections, fingers, lookups, and who is known."""
