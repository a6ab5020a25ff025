"""Joining a network by one way to find: how it goes, and why not."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import frozen

from twisted_bazaar.exit_status import ExitStatus


class NotJoined(Enum):
    """Why somebody who is there does not take a node."""

    FULL = "full"
    SILENT = "silent"
    STRANGER = "stranger"
    CLOSED = "closed"
    UNPROVEN = "unproven"
    REFUSED = "refused"


MOST_TELLING: Final = (NotJoined.FULL, NotJoined.UNPROVEN, NotJoined.CLOSED, NotJoined.SILENT, NotJoined.STRANGER)
"""Of several reasons, the first of these says most about what there is."""


class JoinObserver:
    """Is told how a node joins. This one does nothing with it."""

    def joined(self, how: str) -> None:
        """Others can be asked from now on, and find this node.

        @param how: such as C{by the super peer at 10.0.0.7:9200}.
        """

    def left(self, whom: str) -> None:
        """The link to one of those by whom it had joined is lost; another takes its place if there is one.

        @param whom: such as C{super peer 4711}.
        """

    def not_joined(self, place: int, why: NotJoined, reason: str) -> None:
        """Somebody does not take this node, which tries again.

        @param place: the number of the place, of those that the user has named, from 0.
        @param reason: what it has said, or what has happened.
        """

    def refused(self, reason: str, status: ExitStatus = ExitStatus.NO) -> None:
        """This node will never be taken, however often it tries.

        @param status: with what a command ends by that.
        """


@frozen
class Asked:
    """The name that people have for those who are asked in a way to find.

    @ivar name: such as C{index server}.
    @ivar short_name: the same, where it is clear what is meant.
    @ivar one_of: the name with its article.
    @ivar whole: what is asked by asking one.
    @ivar role: of the node that is one.
    @ivar usual: the endpoint where it listens if nobody says otherwise.
    @ivar option: that names where they listen, with dashes.
    @ivar beside: what a node needs on its command line, besides its role, to be one; may be empty.
    """

    name: str
    short_name: str
    one_of: str
    whole: str
    role: str
    usual: str
    option: str
    beside: str = ""
