"""A leaf: it registers with super peers and searches by them."""
