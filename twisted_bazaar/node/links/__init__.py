"""One link: a connection to another node, its frames, flow control, deadlines and bytes."""
