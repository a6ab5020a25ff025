"""A file on its way here: from whom, in which order, whom to believe, and where it is put."""
