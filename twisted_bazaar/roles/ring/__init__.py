"""What the roles that live on a ring share: options, lifecycle, quota, files, checkpoints."""
