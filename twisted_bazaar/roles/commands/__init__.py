"""What the operator of a node can ask of its roles over the control socket."""
