"""The commands, one module each, of its name."""
