"""A peer-to-peer exchange on Twisted: find goods without a central market, and obtain them."""

__version__ = "0.1.0"
