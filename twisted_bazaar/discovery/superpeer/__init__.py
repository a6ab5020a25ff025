"""Finding by super peers: leaves list what they have at two of them, and those ask each other (Gnutella 0.6).

Two words each: a super peer is Gnutella's ultrapeer, and a weak peer is Gnutella's leaf. The wire, the options and the
pages say super peer and weak peer, as the design paper does; the code says super peer and leaf.
"""
