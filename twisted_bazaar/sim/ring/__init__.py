"""The scenario C{ring}: nodes that find places on a ring and keep values there, while many die or all come and go."""
