"""The engine: virtual time, simulated machines with TCP, UDP and disks, and what goes wrong with them."""
