"""The scenario C{superpeer}: weak peers that share files, and super peers that find them, by three kinds of search."""
