"""The plugins of C{twistd}: options and the services made from them."""
