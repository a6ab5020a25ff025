"""The identity of a node: its key pair. Sans-IO."""
