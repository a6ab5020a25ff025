"""A node that lives as long as one command, and the options that say whom it joins."""
