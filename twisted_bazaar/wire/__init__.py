"""From bytes to messages and back: frames, message classes and the codec between them. Sans-IO."""
