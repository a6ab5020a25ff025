"""Sealed datagrams between nodes: who is heard, after how many ways, and what others can do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.node.datagrams.sealed import sealed_nodes
from tests.node.datagrams.sealed.sealed_nodes import Datagram, SealedNetwork
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.datagrams.sealed import packets
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.security.noise.datagram_session import GRACE_S, RENEW_S

STRANGER = ("203.0.113.9", 9)


class PathCase(SynchronousTestCase):
    """Two nodes that know nothing of each other but, perhaps, a key."""

    def setUp(self) -> None:
        """Make them."""
        self.network = SealedNetwork()
        self.ada, self.bob = self.network.node("192.0.2.1"), self.network.node("192.0.2.2")

    def kinds(self) -> list[int]:
        """The kinds of all that has gone."""
        return [each.data[0] for each in self.network.carried]

    def meet(self) -> None:
        """Begin a session, and forget how."""
        self.ada.send(b"hello", self.bob)
        self.network.run()
        self.assertEqual(self.bob.said_here, [b"hello"])
        self.bob.taken.clear()
        self.network.carried.clear()


class WaysTests(PathCase):
    """How many ways it takes."""

    def test_question(self) -> None:
        """A question to a known key takes one way there and one back, and the one asked remembers nothing."""
        self.ada.send(b"who?", self.bob, is_question=True)
        self.assertEqual(self.network.run(), 2)
        self.assertEqual(self.ada.taken, [(b"answer to who?", self.bob.where, self.bob.key.public)])
        self.assertEqual(self.bob.asked, [(b"who?", self.ada.where, self.ada.key.public)])
        self.assertFalse(self.bob.paths.has_session(self.ada.where, self.network.now))
        self.assertEqual(self.kinds(), [packets.QUESTION.byte, packets.ANSWER.byte])

    def test_question_then_more(self) -> None:
        """The answer brings the cookie: what comes next begins a session at once."""
        self.ada.send(b"who?", self.bob, is_question=True)
        self.network.run()
        self.ada.send(b"buy", self.bob)
        self.assertEqual(self.network.run(), 3)
        self.assertEqual(self.bob.taken, [(b"buy", self.ada.where, self.ada.key.public)])

    def test_asked_again_and_again(self) -> None:
        """Each question takes one way there and one back; the third goes in a session, and takes no handshake."""
        for n in range(5):
            self.network.carried.clear()
            self.ada.send(b"%d?" % n, self.bob, is_question=True)
            self.network.run()
            self.assertIn(b"%d?" % n, [said for said, *_ in self.bob.asked + self.bob.taken])
            self.assertEqual(self.kinds()[:2].count(packets.QUESTION.byte), n < 2)
        self.assertEqual(self.kinds(), [packets.SEALED.byte])

    def test_question_to_nobody_known(self) -> None:
        """Who does not know the key is given it with the cookie: it takes two ways there and back."""
        self.ada.send(b"who?", self.bob, is_question=True, knows_key=False)
        self.assertEqual(self.network.run(), 4)
        self.assertEqual(self.ada.taken, [(b"answer to who?", self.bob.where, self.bob.key.public)])

    def test_key_unknown(self) -> None:
        """Nothing but a question is said before the key is proven."""
        self.ada.send(b"who?", self.bob, knows_key=False)
        self.network.run()
        kinds = (packets.KNOCK, packets.COOKIE, packets.BEGIN, packets.READY, packets.SEALED)
        self.assertEqual(self.kinds(), [kind.byte for kind in kinds])
        self.assertEqual(self.bob.taken, [(b"who?", self.ada.where, self.ada.key.public)])

    def test_both_ways(self) -> None:
        """In a session either says what it likes, in one datagram each, whether it knows the key or not."""
        self.meet()
        self.bob.send(b"1", self.ada)
        self.bob.send(b"2", self.ada, knows_key=False)
        self.ada.send(b"3", self.bob, is_question=True)
        self.assertEqual(self.network.run(), 1)
        self.assertEqual(self.ada.said_here, [b"1", b"2"])
        self.assertEqual(self.bob.said_here, [b"3"])

    def test_waits(self) -> None:
        """What is said before there is a session goes in its order, and not more than some."""
        gone = [self.ada.send(b"%d" % n, self.bob) for n in range(20)]
        self.assertEqual(gone, [True] * 16 + [False] * 4)
        self.network.run()
        self.assertEqual(self.bob.said_here, [b"%d" % n for n in range(16)])

    def test_both_at_once(self) -> None:
        """Two that begin at the same time hear each other."""
        self.ada.send(b"from ada", self.bob)
        self.bob.send(b"from bob", self.ada)
        self.network.run()
        for n in range(10):
            self.ada.send(b"%d" % n, self.bob)
            self.bob.send(b"%d" % n, self.ada)
            self.network.run()
        self.assertEqual(self.bob.said_here, [b"from ada", *(b"%d" % n for n in range(10))])
        self.assertEqual(self.ada.said_here, [b"from bob", *(b"%d" % n for n in range(10))])

    def test_too_long_for_an_answer(self) -> None:
        """A question whose answer would be longer is asked again in a session."""
        self.bob.answers = lambda said: b"x" * 1_150
        self.ada.send(b"who?", self.bob, is_question=True)
        self.network.run()
        self.assertEqual(self.ada.taken, [])
        self.assertEqual(self.bob.said_here, [b"who?"])


class LossTests(PathCase):
    """What gets lost."""

    def test_any_first_lost(self) -> None:
        """Whichever of the first datagrams is lost, what was said arrives when it was said again."""
        for lost in range(4):
            for is_question in (False, True):
                self.setUp()
                gone: list[Datagram] = []

                def is_lost(datagram: Datagram, gone: list[Datagram] = gone, lost: int = lost) -> bool:
                    gone.append(datagram)
                    return len(gone) == lost + 1 and datagram.data[0] != packets.SEALED.byte

                self.network.is_lost = is_lost
                self.ada.send(b"who?", self.bob, is_question=is_question)
                self.network.run()
                self.network.pass_time(4)
                self.assertIn(b"who?", [said for said, *_ in self.bob.asked + self.bob.taken], (lost, is_question))

    def test_nobody_there(self) -> None:
        """Who is not there costs a few datagrams, and what was to go there goes nowhere later."""
        del self.network.nodes[self.bob.where]
        self.ada.send(b"old", self.bob)
        self.network.run()
        self.network.pass_time(60)
        self.assertLess(len(self.network.carried), 6)
        self.network.nodes[self.bob.where] = self.bob
        self.ada.send(b"new", self.bob)
        self.network.run()
        self.assertEqual(self.bob.said_here, [b"new"])

    def test_restarts(self) -> None:
        """Who has forgotten a session says so, and what is said next is heard in another."""
        self.meet()
        self.bob.restart()
        self.ada.send(b"lost", self.bob)
        self.network.run()
        self.ada.send(b"heard", self.bob)
        self.network.run()
        self.assertEqual(self.bob.said_here, [b"heard"])

    def test_restarts_with_another_key(self) -> None:
        """Who is somebody else now gets what was for whoever is there, and nothing that was for the other."""
        self.meet()
        old_key = self.bob.key
        self.bob.key = KeyPair.from_seed(b"\7" * 32)
        self.bob.restart()
        self.ada.send(b"lost", self.bob, knows_key=False)
        self.network.run()
        self.ada.send(b"for anybody", self.bob, knows_key=False)
        self.network.run()
        self.ada.paths.send(b"for the other", self.bob.where, old_key.public, self.network.now)
        self.network.run()
        self.network.pass_time(6)
        self.assertEqual(self.bob.said_here, [b"for anybody"])


class TimeTests(PathCase):
    """Sessions end."""

    def test_renewed(self) -> None:
        """A session in use is renewed every two minutes, and nothing is lost or said twice meanwhile."""
        self.meet()
        said = []
        for n in range(1_000):
            said.append(b"%d" % n)
            self.ada.send(said[-1], self.bob)
            self.network.pass_time(0.5)
        self.assertEqual(self.bob.said_here, said)
        self.assertEqual(self.kinds().count(packets.READY.byte), 4)

    def test_late(self) -> None:
        """What was under way when the next session began is heard for ten seconds more."""
        self.meet()
        self.network.now += RENEW_S - 0.5
        self.ada.send(b"late", self.bob)
        self.ada.send(b"too late", self.bob)
        late, too_late = self.network.under_way
        self.network.under_way = []
        self.network.now += 1
        self.ada.send(b"next", self.bob)
        self.network.run()
        self.network.now += GRACE_S - 2
        self.network.deliver(late)
        self.network.now += 2
        self.network.deliver(too_late)
        self.assertEqual(self.bob.said_here, [b"next", b"late"])


class OthersTests(PathCase):
    """What others can do."""

    def test_nothing_is_read(self) -> None:
        """Nothing that was said is in what has gone, nor who has said it."""
        self.ada.send(b"apple wanted", self.bob, is_question=True)
        self.network.run()
        self.ada.send(b"apple bought", self.bob)
        self.network.run()
        gone = b"".join(each.data for each in self.network.carried)
        self.assertNotIn(b"apple", gone)
        self.assertNotIn(bytes.fromhex(self.ada.key.public), gone)

    def test_all_again(self) -> None:
        """All datagrams that have ever gone, again and from anywhere, say nothing a second time and end no session."""
        self.ada.send(b"who?", self.bob, is_question=True)
        self.network.run()
        self.ada.send(b"buy", self.bob)
        self.network.run()
        for n in range(3):
            self.bob.send(b"%d" % n, self.ada)
            self.network.run()
        taken = list(self.ada.taken), list(self.bob.taken)
        for each in list(self.network.carried):
            self.network.deliver(each)
            self.network.deliver(Datagram(each.data, STRANGER, each.to))
            self.network.run()
        self.assertEqual((self.ada.taken, self.bob.taken), taken)
        self.ada.send(b"still here", self.bob)
        self.bob.send(b"still here", self.ada)
        self.assertEqual(self.network.run(), 1)
        self.assertEqual((self.ada.said_here[-1], self.bob.said_here[-1]), (b"still here", b"still here"))

    def test_all_again_after_restart(self) -> None:
        """Nor do they to who has restarted meanwhile."""
        self.ada.send(b"hello", self.bob)
        self.network.run()
        self.ada.send(b"buy", self.bob)
        self.network.run()
        before = [each for each in self.network.carried if each.to == self.bob.where]
        self.bob.restart()
        self.bob.taken.clear()
        for _ in range(2):
            for each in before:
                self.network.deliver(each)
        self.assertEqual(self.bob.taken, [])

    def test_all_flipped(self) -> None:
        """A question changed on the way is nobody's, but for its nonce and cookie: they say nothing of it."""
        self.network.is_lost = lambda datagram: True
        self.ada.send(b"who?", self.bob, is_question=True)
        self.network.run()
        [question] = self.network.carried
        self.network.is_lost = lambda datagram: False
        for n in range(1, len(question.data)):
            changed = bytearray(question.data)
            changed[n] ^= 1
            self.network.now += 0.003
            self.network.deliver(Datagram(bytes(changed), question.source, question.to))
        self.assertEqual(
            [said for said, *_ in self.bob.asked], [b"who?"] * (packets.NONCE_BYTES + packets.COOKIE_BYTES)
        )
        self.network.run()
        self.assertEqual(self.ada.said_here, [b"answer to who?"])

    def test_never_longer(self) -> None:
        """Who has not shown that it receives is never sent more bytes than it sent."""
        self.bob.answers = lambda said: b"x" * 60_000
        self.ada.send(b"who?", self.bob, is_question=True)
        self.network.run()
        cleo = self.network.node("192.0.2.3")
        cleo.send(b"hello", self.bob, knows_key=False)
        self.network.run()
        sent = [each.data for each in self.network.carried if each.to == self.bob.where]
        self.assertGreater(len(sent), 4)
        for data in sent:
            self.network.deliver(Datagram(data, STRANGER, self.bob.where))
            answers = [each.data for each in self.network.under_way if each.to == STRANGER]
            self.network.under_way = []
            self.assertLessEqual(sum(map(len, answers)), len(data))

    def test_other_at_the_address(self) -> None:
        """Who answers for an address but has not the key that is wanted hears nothing, whatever it says."""
        mallory = self.network.node("192.0.2.2", KeyPair.from_seed(b"\7" * 32))
        self.ada.paths.send(b"secret", mallory.where, self.bob.key.public, self.network.now)
        self.network.pass_time(10)
        self.ada.paths.send(b"secret?", mallory.where, self.bob.key.public, self.network.now, is_question=True)
        self.network.pass_time(10)
        self.assertEqual((mallory.taken, mallory.asked), ([], []))

    def test_at_the_address_of_another(self) -> None:
        """Who begins a session in the name of an address on its way gets nothing that is for the key that is there."""
        self.meet()
        mallory = self.network.node("192.0.2.1", KeyPair.from_seed(b"\7" * 32))
        mallory.send(b"I am there", self.bob)
        self.network.run()
        self.assertEqual(self.bob.taken, [(b"I am there", mallory.where, mallory.key.public)])
        self.bob.send(b"secret", self.ada)
        self.network.run()
        self.network.pass_time(10)
        self.assertEqual(mallory.taken, [])

    def test_lost_said_by_others(self) -> None:
        """Whoever says that a session is lost makes it begun anew, once a second, and nothing is lost."""
        self.meet()
        for n in range(50):
            self.ada.send(b"%d" % n, self.bob)
            index = self.network.under_way[-1].data[1:4] if self.network.under_way else bytes(3)
            self.network.run()
            self.network.deliver(Datagram(packets.LOST.make(index), self.bob.where, self.ada.where))
            self.network.run()
            self.network.pass_time(0.1)
        self.assertEqual(self.bob.said_here, [b"%d" % n for n in range(50)])
        self.assertLess(self.kinds().count(packets.READY.byte), 8)

    def test_no_work_without_cookie(self) -> None:
        """A beginning without the right cookie costs no work with keys."""
        self.patch(self.bob.paths, "_handshakes", None)
        data = packets.BEGIN.make(b"abc", bytes(8), rest=bytes(200))
        self.network.deliver(Datagram(data, self.ada.where, self.bob.where))
        self.assertEqual([each.data[0] for each in self.network.under_way], [packets.COOKIE.byte])

    def flood(self, kind: packets.Kind, hosts: int, each: int, *, with_cookie: bool) -> None:
        """Have so many hosts say again and again, for a second, what is no news, and lose all answers."""
        self.network.is_lost = lambda datagram: True
        self.ada.send(b"who?", self.bob, is_question=kind is packets.QUESTION, knows_key=kind is not packets.KNOCK)
        self.network.run()
        said = self.network.carried[-1].data
        at = said.index(bytes(8)) if kind is not packets.KNOCK else 0
        for _ in range(each):
            self.network.now += 1 / each
            for n in range(hosts):
                where = (f"198.51.{n // 250}.{n % 250}", 9)
                cookie = self.bob.paths._cookie_for(where, self.network.now) if with_cookie else bytes(8)
                data = said if kind is packets.KNOCK else said[:at] + cookie + said[at + 8 :]
                self.network.deliver(Datagram(data, where, self.bob.where))
                self.network.under_way.clear()
        self.network.is_lost = lambda datagram: False

    def test_strangers_are_put_off(self) -> None:
        """However many ask, so many are answered in a second, with a cookie or without; somebody new gets in."""
        for with_cookie in (False, True):
            self.setUp()
            self.flood(packets.QUESTION, 200, 10, with_cookie=with_cookie)
            self.assertLessEqual(len(self.bob.asked), 500)
            cleo = self.network.node("192.0.2.3")
            cleo.send(b"me too", self.bob, is_question=True)
            self.network.run()
            self.network.pass_time(1)
            self.assertIn(b"me too", [said for said, *_ in self.bob.asked])

    def test_many_knock(self) -> None:
        """A thousand hosts knock again and again; somebody new has a session at once."""
        self.patch(sealed_nodes, "LIMITS", Limits())
        self.bob.restart()
        self.flood(packets.KNOCK, 1_000, 20, with_cookie=False)
        self.assertGreater(self.bob.counts["unanswered"], 1_000)
        cleo = self.network.node("192.0.2.3")
        cleo.send(b"me too", self.bob, knows_key=False)
        self.network.run()
        self.assertIn(b"me too", self.bob.said_here)

    def test_rubbish(self) -> None:
        """What is no datagram of these is counted, and costs nothing."""
        for data in (b"", b"\0", b"\x09" * 100, b'{"type":"ping"}', *(bytes((n,)) for n in range(1, 9))):
            self.network.deliver(Datagram(data, self.ada.where, self.bob.where))
        self.assertEqual(self.bob.counts["rubbish"], 12)
        self.assertEqual(self.network.under_way, [])
