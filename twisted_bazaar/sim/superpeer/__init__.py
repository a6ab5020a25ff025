"""The scenario C{superpeer}: leaves that share files, and super peers that find them, by three kinds of search."""
