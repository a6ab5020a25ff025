"""Finding by flooding: a search goes to everybody within reach, and answers come back along its path."""
