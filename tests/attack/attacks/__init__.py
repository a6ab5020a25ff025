"""The attacks: a module for each, or for a family, with a list C{ATTACKS}."""
