"""Security: what proves to whom a connection leads, and keeps what goes over it from all others."""
