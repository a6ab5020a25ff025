"""Records of files and goods in a ring, and the words by which they are found."""
