"""Routing: messages go to a role, on along their path, or to everybody else as a flood."""
