"""The scenario C{files}: sharers, honest ones and liars, and getters, who find each other through an index server."""
