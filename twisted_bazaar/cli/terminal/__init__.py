"""Reading and writing at a terminal: text, tables, prompts, errors, signals."""
