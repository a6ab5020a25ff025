"""Obtaining goods: orders, the seller's ledger, and what is held back for whom."""
