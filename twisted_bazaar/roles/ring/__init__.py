"""The common parts of roles on a ring: options, lifecycle, quota, files, checkpoints."""
