"""The C{bazaar} command: what people run to see the market, beside the daemons that are the market."""
