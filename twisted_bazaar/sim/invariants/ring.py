"""The promises about a ring: that it holds, that it becomes right again, and that what is kept there is had, and kept.

Source: Zave, "How to make Chord correct" (arXiv 1502.06461). What she proves takes it that nobody is held for dead who
lives, and that everybody always has a successor that lives. So where faults let nodes be silent that live, or somebody
has lost all successors at once, nothing is asked of the ring until it has become right again; that it does is a promise
of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Final

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.invariant import faults, flaws
from twisted_bazaar.discovery.ring.storage.entry import VALUES
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.faults import fault_kind
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.ring.global_view import RingView
from twisted_bazaar.sim.ring.peer import SimulatedPeer

# Of so many all are looked at whenever somebody has other neighbours; of more only that one, and all now and then.
_FEW: Final = 64
_EVERY_S: Final = 10.0
_MOST_TO_LOOK_AGAIN: Final = 2_000
_PEACE_S: Final = 10.0
_AT_ONCE_S: Final = 15.0


class RingCheck(Check):
    """Watches a ring."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.view: RingView = RingView.of(cluster)


class RingHolds(RingCheck):
    """Nothing that nodes do by themselves breaks the ring."""

    promise = "there is one ring, in order, and everybody has a way to it"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.view.watch(self._changed, self._gone)
        # What is begun is not right yet.
        self._is_excused = True
        # Those whom everybody before them knew when the ring was right last, and some time before.
        self._base: dict[Contact, None] = {}
        self._next_base: dict[Contact, None] = {}
        self._next_base_at = 0.0
        self._silencing = 0
        self._next_at = 0.0

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Somebody may be silent now that lives; or it is the end, and all go."""
        if event == "ending":
            self._silencing, self._is_excused = 1, True
        elif event == "fault" and fault_kind(details["fault"]).nature.silences:
            self._silencing += 1 if details["what"] == "begins" else -1
            self._is_excused = True

    def on_second(self) -> None:
        """Look at all, if they are many."""
        if not self._is_excused and len(self.view) > _FEW and self.now >= self._next_at:
            self._next_at = self.now + _EVERY_S
            self._look_at_all()

    def _changed(self, contact: Contact) -> None:
        """Look at the ring after each change of somebody's neighbours."""
        view = self.view
        if view.is_right and not self._silencing:
            self._note_right()
        if self._is_excused:
            return
        if len(view) <= _FEW:
            self._look_at_all()
            return
        successors = view.state(contact).successors
        ways = [0, *(view.ring.distance(contact.id, each.id) for each in successors)]
        self.expect(all(one < other for one, other in pairwise(ways)), f"{contact.id:x} has them out of order")
        self.expect(self._has_living(contact), f"{contact.id:x} has no successor that lives")

    def _gone(self, contact: Contact) -> None:
        """See whether somebody has lost all successors. Who comes back is new."""
        view = self.view
        self._base.pop(contact, None)
        self._next_base.pop(contact, None)
        if self._is_excused or not len(view):
            return
        if len(view) <= _FEW:
            self._is_excused = bool(self._faults())
        else:
            self._is_excused = not all(map(self._has_living, view.before(contact.id, view.most)))

    def _look_at_all(self) -> None:
        found = self._faults()
        self.expect(not found, "; ".join(found[:5]))

    def _faults(self) -> list[str]:
        view = self.view
        return list(faults(view.ring, view.states(), view.most, self._base))

    def _note_right(self) -> None:
        """The ring is right now. Lists that are on their way may still leave out whoever is new."""
        if self._is_excused:
            self._base, self._next_base, self._next_base_at = {}, dict.fromkeys(self.view.peers), self.now
        elif self.now - self._next_base_at >= _PEACE_S:
            self._base, self._next_base, self._next_base_at = self._next_base, dict.fromkeys(self.view.peers), self.now
        self._is_excused = False

    def _has_living(self, contact: Contact) -> bool:
        successors = self.view.state(contact).successors
        return not successors or any(each in self.view.peers for each in successors)


class NeighboursAreRight(RingCheck):
    """The ring becomes right by itself."""

    promise = "when faults have stopped, everybody knows exactly its neighbours"

    def on_settled(self) -> None:
        """Look at everybody."""
        view = self.view
        for member in self.cluster.running():
            self.expect(view.contact_of(member) is not None, f"{member.name} is not on the ring")
        for contact in (*view.wrong_after, *view.wrong_before):
            self.expect(False, f"{contact.id:x} has others for its neighbours")
        if len(view) and len(view) <= _MOST_TO_LOOK_AGAIN:
            found = list(flaws(view.ring, view.states(), view.most))
            self.expect(not found, "; ".join(found[:3]))


class RingsMerge(RingCheck):
    """A ring that was split grows together."""

    promise = "rings that were split have become one again when faults have stopped"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._was_parted = False

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """There may be two rings now."""
        self._was_parted = self._was_parted or (event == "fault" and fault_kind(details["fault"]).nature.cuts)

    def on_settled(self) -> None:
        """Count them."""
        view = self.view
        if self._was_parted and len(view):
            found = [fault for fault in faults(view.ring, view.states(), view.most, ()) if fault.endswith(" rings")]
            self.expect(not found, "; ".join(found))


class LookupsAreRight(RingCheck):
    """Each lookup finds who is responsible."""

    promise = "a lookup on a ring that is right finds who is responsible"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.view.watch(self._changed, self._gone)
        self._wrong_at = 0.0

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """A lookup has ended."""
        is_last = event == "last-found"
        if is_last or (event == "found" and self._was_right_for(details["seconds"])):
            found = details["holder"] or "nobody"
            self.expect(details["is_right"], f"{details['node']} looked for {details['place']} and found {found}")

    def _was_right_for(self, seconds: float) -> bool:
        return self.view.is_right and self._wrong_at < self.now - seconds

    def _changed(self, contact: Contact) -> None:
        if not self.view.is_right:
            self._wrong_at = self.now

    def _gone(self, contact: Contact) -> None:
        self._wrong_at = self.now


class NeverAnother(RingCheck):
    """Nobody gets what was put under another name."""

    promise = "who asks for a value gets what was put under its name, or nothing"

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Somebody has got something."""
        if event in ("got", "last-got"):
            name, values = details["name"], details["values"]
            self.expect(all(value == value_of(name) for value in values), f"{values} were got as {name}")


class KeptIsFound(RingCheck):
    """Everything that is kept is found."""

    promise = "when faults have stopped, what anybody keeps is got by everybody"

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Somebody has asked for something."""
        if event == "last-got" and details["is_there"]:
            self.expect(bool(details["values"]), f"{details['node']} has not got {details['name']}, which is there")


class NothingIsLost(RingCheck):
    """Everything that is kept lives on while those die who keep it."""

    promise = "a value is lost only if as many who had it died at once as were to keep it"

    _EVENTS: ClassVar[frozenset[str]] = frozenset({"ring-quit"})

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        # By name, when somebody died who had it.
        self._deaths: dict[str, deque[float]] = {}
        self._is_over = False

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Something is kept from now on; or it is the end, and all go."""
        if event == "kept":
            self._deaths[details["name"]] = deque()
        elif event == "ending":
            self._is_over = True

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """Somebody may have gone, and is to have handed over what it had."""
        if event in self._EVENTS:
            self._look_for_what(member, has_died=False)

    def on_death(self, member: Member) -> None:
        """Somebody has died."""
        self._look_for_what(member, has_died=True)

    def _look_for_what(self, member: Member, *, has_died: bool) -> None:
        """See whether others have what a node had."""
        for role in member.roles if not self._is_over else ():
            if isinstance(role, SimulatedPeer):
                for entry in role.dht.store:
                    deaths = self._deaths.get(entry.kept.name) if entry.kept.space == VALUES else None
                    if deaths is not None:
                        if has_died:
                            deaths.append(self.now)
                        self._look_for(entry.kept.name, deaths, role.dht.replicas)

    def _look_for(self, name: str, deaths: deque[float], replicas: int) -> None:
        while deaths and deaths[0] < self.now - _AT_ONCE_S:
            deaths.popleft()
        is_kept = self.view.is_kept(name)
        allowed = len(deaths) > replicas or len(self.view) <= replicas
        self.expect(is_kept or allowed, f"{name} is lost, and {len(deaths)} died at once who had it")
        if not is_kept:
            del self._deaths[name]


def value_of(name: str) -> str:
    """The value that is kept under a name, and under no other."""
    return f"what is kept as {name}"
