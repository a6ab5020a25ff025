"""Commands that the operator of a node can give its roles over the control socket."""
