"""A folder as others see it: what lies in it, what that is made of, and what is left out."""
