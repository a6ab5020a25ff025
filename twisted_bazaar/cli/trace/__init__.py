"""Reading traces: searches and orders, hop by hop."""
