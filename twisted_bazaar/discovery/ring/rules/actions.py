"""The state that a node of the ring tells of itself, and the actions that the rules ask for. Sans-IO."""

from __future__ import annotations

from attrs import frozen

from twisted_bazaar.discovery.ring.rules.identifiers import Contact


@frozen
class NodeState:
    """The state of a node, as it answers a ping.

    @ivar node: itself.
    @ivar predecessor: the nearest node before it that it knows of.
    @ivar successors: the nodes after it, the nearest first.
    @ivar is_member: whether it has joined.
    """

    node: Contact
    predecessor: Contact | None = None
    successors: tuple[Contact, ...] = ()
    is_member: bool = True


@frozen
class InitialNeighbours:
    """A node's identifier on a ring that is right already, which nobody needs to find out.

    @ivar predecessor: the node before it; None on a ring of one.
    @ivar successors: the nodes after it, the nearest first.
    @ivar known: others that it knows farther away.
    """

    predecessor: Contact | None
    successors: tuple[Contact, ...]
    known: tuple[Contact, ...] = ()


@frozen
class Ping:
    """Ping a node, unless it is being pinged; then say what it has answered, or that it has not."""

    to: Contact


@frozen
class Hint:
    """Tell a node of another that lives and may be its neighbour; it will ping that one itself."""

    to: Contact
    about: Contact


@frozen
class Report:
    """Tell a node that another does not answer; it will find out itself."""

    to: Contact
    dead: Contact


@frozen
class Seek:
    """Look up the nodes round an identifier, best by others than the own neighbours, and say who has been found.

    @ivar about: a node at that identifier that lives; whether others of this ring know it is the question.
    """

    identifier: int
    about: Contact | None = None


@frozen
class JoinRefused:
    """There is no joining; or no staying, for who is a member.

    @ivar holder: who has the same identifier already; None if there was nobody to join by, and it may be tried again.
    """

    holder: Contact | None = None


Action = Ping | Hint | Report | Seek | JoinRefused
