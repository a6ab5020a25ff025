"""One member of the network: its links, its routes, and the roles it carries."""
