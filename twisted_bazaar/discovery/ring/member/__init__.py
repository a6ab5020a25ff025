"""A member of a ring: it drives the rules, pings, answers, and looks up."""
