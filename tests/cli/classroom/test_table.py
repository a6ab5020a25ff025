"""The table of the classroom: what it shows of peers, and whether the ring is whole."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.classroom.table import PeerState, PeerView, is_whole, table_lines
from twisted_bazaar.cli.ring.rows import Standing


def here(place: int, predecessor: str | None, *successors: str, keeps: Sequence[str] = ()) -> PeerView:
    """A peer that is on the ring."""
    standing = Standing(True, 0, ring_id=str(place), predecessor=predecessor, successors=[*successors], keeps=[*keeps])
    return PeerView(place, PeerState.HERE, 5.0, standing, 9500 + place)


def lines_of(*peers: PeerView, width: int = 80) -> list[str]:
    """The table, without blanks that only align."""
    return [" ".join(line.split()) for line in table_lines(peers, width)]


class TableTests(SynchronousTestCase):
    """Three peers."""

    def test_whole(self) -> None:
        """Each has a line with its neighbours, what it keeps and where others join; below, the ring is told."""
        peers = here(5, "3", "1", "3"), here(1, "5", "3", "5", keeps=["2012", "word"]), here(3, "1", "5", "1")
        self.assertEqual(
            lines_of(*peers)[2:],
            [
                "1 5 3, 5 2012, word on the ring 9501",
                "3 1 5, 1 - on the ring 9503",
                "5 3 1, 3 - on the ring 9505",
                "The ring is whole: 1, 3, 5, and 1 again",
            ],
        )

    def test_dead(self) -> None:
        """One that is dead is shown with brackets where it is still believed in, and the ring is not whole."""
        peers = here(1, "5", "3", "5"), PeerView(3, PeerState.DEAD, 12.3), here(5, "3", "1")
        self.assertEqual(
            lines_of(*peers)[2:],
            [
                "1 5 (3), 5 - on the ring 9501",
                "3 - - - dead for 12 s -",
                "5 (3) 1 - on the ring 9505",
                "Not whole yet: 1 has 3, 5 as successors, not 5",
                "(n): peer n has gone, and this one has not noticed yet",
            ],
        )

    def test_healed(self) -> None:
        """When all have noticed, it is whole again."""
        peers = here(1, "5", "5"), PeerView(3, PeerState.LEFT, 70.0), here(5, "1", "1")
        lines = lines_of(*peers)
        self.assertIn("3 - - - left 1 min 10 s ago -", lines)
        self.assertTrue(is_whole(peers))
        self.assertFalse(is_whole([*peers, PeerView(9, PeerState.JOINING)]))
        self.assertFalse(is_whole([here(1, "5", "5"), here(5, None, "1")]))
        self.assertFalse(is_whole([]))
        self.assertEqual(lines[-1], "The ring is whole: 1, 5, and 1 again")

    def test_elsewhere(self) -> None:
        """A peer at a prompt elsewhere is no fault: the others name it."""
        peers = here(1, "9", "5", "9"), here(5, "1", "9", "1")
        self.assertEqual(lines_of(*peers)[-1], "The ring is whole: 1, 5, 9, and 1 again")

    def test_coming(self) -> None:
        """Who joins has nothing to show; where nobody is on the ring, that is told; one alone is a ring."""
        joining = PeerView(4, PeerState.JOINING, 2.0)
        self.assertEqual(lines_of(joining)[-2:], ["4 - - - joining for 2 s -", "Nobody is on the ring"])
        no_member = PeerView(4, PeerState.JOINING, 2.0, Standing(False, 0), 9504)
        self.assertIn("4 - - - joining for 2 s 9504", lines_of(no_member))
        self.assertEqual(lines_of(here(7, None))[-1], "The ring is whole: 7, and 7 again")
        self.assertIn("Not whole yet: 1 has none as successors, not 3", lines_of(here(1, None), here(3, "1", "1"))[-1])

    def test_narrow(self) -> None:
        """Where there are few columns the port by which others join is there all the same."""
        peers = here(5, "3", "1"), PeerView(3, PeerState.DEAD, 12.3)
        expected = ["peer before after keeps port", "3 - - - dead", "5 (3) 1 - 9505"]
        self.assertEqual([line for line in lines_of(*peers, width=40) if line[0] in "p35"], expected)

    def test_width(self) -> None:
        """No line is wider than the terminal, whatever is kept, and what is kept is shown whole."""
        names = [f"name-{number}" for number in range(12)]
        peers = here(100, "200", "200", "255", keeps=names), PeerView(255, PeerState.LEAVING), here(200, "100", "100")
        for width in (40, 60, 80, 120):
            lines = table_lines(peers, width)
            self.assertLessEqual(max(map(len, lines)), width)
            self.assertIn("name-11", "".join("".join(lines).split()))
        coloured = table_lines(peers, 80, is_coloured=True)
        self.assertIn("\x1b[", "".join(coloured))
