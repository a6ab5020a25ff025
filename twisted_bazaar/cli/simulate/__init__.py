"""Simulations: their options, figures and reports."""
