"""What is shown and read at a terminal: text, tables, prompts, errors, signals."""
