"""The forms of the books; see L{twisted_bazaar.schema_migrations}. Each folder holds those of one kind of book."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from twisted_bazaar.schema_migrations import read_steps as read_steps


def forms_of(kind: str) -> Traversable:
    """The folder with the forms of a kind of book."""
    return files(__name__) / kind
