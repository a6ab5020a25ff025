"""Who a node is: its key pair. Sans-IO."""
