"""The directory of an index server in memory: lists, the catalogue of all titles, leases, quotas."""
