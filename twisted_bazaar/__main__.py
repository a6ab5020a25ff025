"""C{python -m twisted_bazaar}: the C{bazaar} command where its script is not on the path."""

from twisted_bazaar.cli.main import main

if __name__ == "__main__":
    main(prog_name="bazaar")
