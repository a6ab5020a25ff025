"""TLS 1.3 (RFC 8446) between nodes: both ends show a certificate that their own key has signed."""
