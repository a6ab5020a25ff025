"""How long the other end of a link may be silent."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.node.limits import Limits
from twisted_bazaar.node.links.keepalive import NEVER, Due, Keepalive

LIMITS = Limits()


class SilenceTests(SynchronousTestCase):
    """Silence is counted while somebody listens."""

    def look(self, silence: Keepalive, *times: float) -> list[Due]:
        """What is due at each of these times."""
        return [silence.check_deadlines(now, LIMITS)[0] for now in times]

    def follow(self, silence: Keepalive, until: float, *, is_listening: bool = True) -> list[tuple[float, Due]]:
        """What is due when, for who looks when told to."""
        now, all_due = 0.0, []
        while now < until:
            due, at = silence.check_deadlines(now, LIMITS, is_listening=is_listening)
            if due is not Due.NOTHING:
                all_due.append((now, due))
            now = min(at, until)
        return all_due

    def test_dead(self) -> None:
        """Two pings, and the end."""
        self.assertEqual(self.follow(Keepalive(0.0), 100), [(30, Due.PING), (60, Due.PING), (90, Due.CUT)])

    def test_owes_an_answer(self) -> None:
        """Who owes an answer is asked whether it lives after half of its time, and given up after all of it."""
        silence = Keepalive(0.0)
        silence.note_asked(0.0)
        silence.note_asked(3.0)
        self.assertEqual(self.follow(silence, 100), [(5, Due.PING), (10, Due.CUT)])

    def test_lives(self) -> None:
        """Whatever comes shows that the other end lives, though it may be long about its answer."""
        silence = Keepalive(0.0)
        silence.note_asked(0.0)
        self.assertEqual(self.look(silence, 5.0), [Due.PING])
        silence.last_heard = 5.5
        self.assertEqual(self.look(silence, 10.0, 35.0), [Due.NOTHING, Due.NOTHING])
        self.assertEqual(self.look(silence, 35.6), [Due.PING])
        silence.note_asked(40.0)
        self.assertEqual(self.look(silence, 44.0, 45.0, 50.0), [Due.NOTHING, Due.PING, Due.CUT])

    def test_unfinished(self) -> None:
        """A frame is to be finished in 20 s."""
        silence = Keepalive(0.0, unfinished_since=5.0)
        self.assertEqual(silence.check_deadlines(1.0, LIMITS), (Due.NOTHING, 25.0))
        self.assertEqual(self.look(silence, 25.0), [Due.CUT])

    def test_not_listened_to(self) -> None:
        """Who waits to be read from is not silent, and its frame is not late."""
        silence = Keepalive(0.0, unfinished_since=0.0)
        self.assertEqual(self.follow(silence, 200, is_listening=False), [])
        silence.reset_silence(200.0)
        self.assertEqual(silence.check_deadlines(200.0, LIMITS), (Due.NOTHING, 220.0))

    def test_stalled(self) -> None:
        """Who reads nothing is asked nothing more, and has 90 s; something of it is taken every 5 s."""
        silence = Keepalive(10.0, unfinished_since=10.0, stalled_since=10.0)
        let_in = [(now, Due.LET_IN) for now in range(15, 100, 5)]
        self.assertEqual(self.follow(silence, 200), [*let_in, (100, Due.CUT)])

    def test_stood_still(self) -> None:
        """A process that stood still has not listened: what was sent to it meanwhile it reads before it judges."""
        asked = Keepalive(0.0)
        asked.note_asked(0.5)
        kinds = (Keepalive(0.0), Keepalive(0.0, unfinished_since=0.0), Keepalive(0.0, stalled_since=0.0), asked)
        for silence in kinds:
            at = silence.check_deadlines(1.0, LIMITS)[1]
            self.assertNotIn(Due.CUT, self.look(silence, at + 300.0))
            self.assertIn(Due.CUT, self.look(silence, *(at + 300.0 + later for later in range(100))))

    def test_nothing_unfinished(self) -> None:
        """Where no frame has begun none is late."""
        silence = Keepalive(0.0)
        silence.reset_silence(5.0)
        self.assertEqual((silence.unfinished_since, silence.is_stalled), (NEVER, False))
