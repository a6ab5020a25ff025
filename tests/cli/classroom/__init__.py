"""Tests of the classroom in one window."""
