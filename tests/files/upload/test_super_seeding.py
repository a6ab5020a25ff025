"""Promises of rounds: of many who ask for one file, each gets other chunks first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.files.upload.super_seeding import SuperSeeding


class RoundTests(SynchronousTestCase):
    """Each chunk for one."""

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=40), st.integers(0, 20))
    def test_once(self, steps: list[tuple[int, int]], count: int) -> None:
        """No chunk is given twice unless it was given back and nobody was sent it; each is given, or was sent."""
        chunks = SuperSeeding(count)
        given_out: set[int] = set()
        sent: set[int] = set()
        for kind, number in steps:
            if kind == 0 and given_out:
                back = min(given_out)
                given_out.discard(back)
                chunks.put_back([back])
                given_out |= {back} & sent
            elif kind == 1 and number < count:
                chunks.chunk_sent(number)
                given_out.add(number)
                sent.add(number)
            else:
                taken = chunks.pick(number)
                self.assertFalse(given_out & set(taken))
                given_out |= set(taken)
        given_out |= set(chunks.pick(count))
        self.assertEqual(given_out, set(range(count)))
