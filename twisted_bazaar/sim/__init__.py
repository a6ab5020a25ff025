"""Networks in memory."""
