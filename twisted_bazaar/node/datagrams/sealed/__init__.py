"""Sealed datagrams: sessions with who has shown that it receives, and single questions of who has not."""
