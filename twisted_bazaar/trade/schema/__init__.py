"""The schemas of the books, a folder for each kind of book; see L{twisted_bazaar.database.schema_migrations}."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from twisted_bazaar.database.schema_migrations import read_steps as read_steps


def forms_of(kind: str) -> Traversable:
    """The folder with the forms of a kind of book."""
    return files(__name__) / kind
