"""The scenario C{ring}: lookups and stored values on a Chord ring, while many nodes die or all come and go."""
