"""The links between super peers: who they are, how they are found, and what they are told."""
