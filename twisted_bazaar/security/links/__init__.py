"""Sealed connections on Twisted: a transport between that of the system and the protocol that it carries."""
