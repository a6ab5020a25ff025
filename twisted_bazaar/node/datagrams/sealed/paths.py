"""Paths to other nodes: one for each address and key, with its session when there is one. Sans-IO.

Noise IK (security/noise) proves both keys; a cookie proves that who asks receives where it says. Until an address has
shown its cookie nothing is remembered of it. What can come again from anybody changes nothing: a question in a first
message gets its answer, and is forgotten; a beginning that comes again makes a session in which nobody can speak.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.errors import Unproven
from twisted_bazaar.node.datagrams.cookies import Cookies, FewASecond, StrangersShare
from twisted_bazaar.node.datagrams.sealed import packets
from twisted_bazaar.node.datagrams.sealed.attempts import Attempt, Attempts
from twisted_bazaar.node.datagrams.sealed.handshake_share import HandshakeShare
from twisted_bazaar.node.datagrams.sealed.packets import COOKIE_BYTES, INDEX_BYTES, NONCE_BYTES, Write
from twisted_bazaar.node.datagrams.sealed.path import Opened, Path, Where
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.security.noise.datagram_session import GRACE_S, RENEW_S, DatagramSession
from twisted_bazaar.security.noise.node_handshake import Handshakes, Heard
from twisted_bazaar.values.addresses import network_of

QUESTION: Final = b"bazaar/2 question"
SESSION: Final = b"bazaar/2 session"
"""The prologues of the two kinds of handshake."""
_MOST_WAITING: Final = 16
# Questions are made so long, since their answers will be no longer.
_QUESTION_BYTES: Final = 1_200
_SIZE_BYTES: Final = 2
_INDEX_ENDS: Final = 1 + INDEX_BYTES
_NUMBER_BYTES: Final = 8
# So much of the time for which a cookie is right it is shown.
_SHOWN_PART: Final = 0.9
# After so long a session may be doubted again: anybody on the way can say that it is lost.
_DOUBT_S: Final = 1.0


class SealedPaths:
    """The paths of one node.

    @param handshakes: its own.
    @param key: its public key.
    @param cookies: that it gives.
    @param rng: names of sessions and of knocks; the keys come from elsewhere.
    @param write: sends a datagram.
    @param take: is given what came in a session, or in answer to a question, and on which path.
    @param answer: is given a question of who has no session, where from, whose it is, and how long its answer may be;
        returns the answer, or None for none.
    @param count: counts a datagram that was not taken, by why.
    @param watch: is called when an answer is waited for.
    @param work: is called before the work of a handshake.
    """

    def __init__(
        self,
        handshakes: Handshakes,
        key: str,
        cookies: Cookies,
        rng: random.Random,
        limits: Limits,
        write: Write,
        take: Callable[[bytes, Path], None],
        answer: Callable[[bytes, Where, str, int], bytes | None],
        count: Callable[[str], None],
        watch: Callable[[], None],
        work: Callable[[], None],
    ) -> None:
        self._work = work
        self._handshakes = handshakes
        self._key = bytes.fromhex(key)
        self._cookies = cookies
        self._shown_s = _SHOWN_PART * limits.cookie_s
        self._rng = rng
        self._write = write
        self._take = take
        self._answer_question = answer
        self._count = count
        self._attempts = Attempts(write, watch)
        self._paths: FairTable[tuple[Where, str | None], Path] = FairTable(limits.correspondents, 2 * limits.cookie_s)
        self._latest: FairTable[Where, Path] = FairTable(limits.correspondents, 2 * limits.cookie_s)
        self._opened: FairTable[bytes, Opened] = FairTable(2 * limits.correspondents, RENEW_S + GRACE_S)
        self._numbers: FairTable[str, int] = FairTable(limits.correspondents, RENEW_S + GRACE_S)
        self._answers = StrangersShare(limits.strangers_a_second)
        self._newcomers = FewASecond()
        self._handshake_share = HandshakeShare()
        self._receivers: dict[int, Callable[..., None]] = {
            packets.COOKIE.byte: self._cookie_given,
            packets.QUESTION.byte: self._asked,
            packets.ANSWER.byte: self._answered,
            packets.BEGIN.byte: self._begun,
            packets.READY.byte: self._ready,
            packets.LOST.byte: self._lost,
        }

    def send(self, said: bytes, where: Where, key: str | None, now: float, *, is_question: bool = False) -> bool:
        """Send something to the node with a key at an address.

        @param key: None for whoever is there; who that is, is proven all the same.
        @param is_question: whether its answer changes nothing, so that it may be asked without a session.
        @return: False if it does not go, since too much waits already.
        """
        # Nearly all goes here; the rest may take longer.
        usual = self._latest.get(where, now) if key is None else self._paths.get((where, key), now)
        if usual is not None and not usual.is_doubted:
            opened = usual.opened
            if opened is not None and not opened.session.is_due(now):
                self._write(opened.head + opened.session.seal(said, now), where)
                return True
        path = self._path(where, key, now)
        if path.opened is not None and self._is_usable(path, now):
            self._seal(path.opened, said, now)
            self._reach(path, now)
            return True
        is_under_way = self._attempts.is_under_way(path.attempt, now)
        if not is_under_way:
            # What waited for an answer that never came is lost.
            path.waiting.clear()
        if len(path.waiting) >= _MOST_WAITING:
            return False
        path.waiting.append((said, is_question))
        if not is_under_way:
            self._go_on(path, now)
        return True

    @property
    def is_waiting(self) -> bool:
        """Whether any answer is waited for."""
        return bool(len(self._attempts))

    def has_session(self, where: Where, now: float) -> bool:
        """Whether there is a session with whoever is at an address, so that it is proven to receive there."""
        path = self._latest.get(where, now)
        return path is not None and self._is_usable(path, now)

    def received(self, data: bytes, where: Where, now: float) -> None:
        """Take a datagram of any other kind than L{sealed_received} and L{knock_received} take."""
        found = packets.read(data)
        if found is None:
            self._count("rubbish")
            return
        kind, fields, rest = found
        try:
            self._receivers[kind.byte](where, now, len(data), rest, *fields)
        except Unproven:
            self._count("unproven")

    def say_again(self, now: float) -> None:
        """Say again what was not answered in time; called from time to time while anything is waited for."""
        for name, attempt in self._attempts.due(now):
            if attempt.question is None:
                self._write(attempt.data, attempt.path.where)
            else:
                # Perhaps too many ask: who shows a cookie is heard sooner.
                self._attempts.end(name)
                attempt.path.waiting.insert(0, (attempt.question, False))
                self._reach(attempt.path, now)

    # How a session is begun.

    def _go_on(self, path: Path, now: float) -> None:
        """Do what comes next for what waits: ask, if nothing but a question does, or begin a session."""
        if len(path.waiting) == 1 and path.key is not None:
            said, is_question = path.waiting[0]
            if is_question and self._ask(path, said, now):
                path.waiting.clear()
                return
        if path.waiting:
            self._reach(path, now)

    def _reach(self, path: Path, now: float) -> None:
        """Begin a session, or ask for what that takes, unless it is under way."""
        if self._attempts.is_under_way(path.attempt, now):
            return
        if path.key is None or path.cookie is None or not path.has_cookie(now):
            nonce = self._rng.randbytes(NONCE_BYTES)
            self._start(path, nonce, Attempt(path, packets.KNOCK.make(nonce, rest=bytes(55))), now)
            return
        index = self._new_index()
        try:
            begun = self._handshakes.begin(path.key, SESSION)
            message = begun.first(self._handshakes.next_number().to_bytes(_NUMBER_BYTES, "big"))
        except Unproven:
            self._give_up(path)
            return
        data = packets.BEGIN.make(index, path.cookie, rest=message)
        self._start(path, index, Attempt(path, data, begun), now)

    def _new_index(self) -> bytes:
        """A name for a session that no other has."""
        while True:
            index = self._rng.randbytes(INDEX_BYTES)
            if index not in self._opened and index not in self._attempts:
                return index

    def _ask(self, path: Path, said: bytes, now: float) -> bool:
        """Ask without a session; returns whether that goes."""
        nonce = self._rng.randbytes(NONCE_BYTES)
        room = _QUESTION_BYTES - packets.QUESTION.size - _SIZE_BYTES
        if len(said) > room or path.key is None:
            return False
        try:
            begun = self._handshakes.begin(path.key, QUESTION)
            message = begun.first(len(said).to_bytes(_SIZE_BYTES, "big") + said.ljust(room, b"\0"))
        except Unproven:
            return False
        cookie = path.cookie if path.cookie is not None and path.has_cookie(now) else packets.NO_COOKIE
        data = packets.QUESTION.make(nonce, cookie, rest=message)
        self._start(path, nonce, Attempt(path, data, begun, said), now)
        return True

    def _start(self, path: Path, name: bytes, attempt: Attempt, now: float) -> None:
        path.attempt = name
        self._attempts.start(name, attempt, network_of(path.where[0]), now)

    def _cookie_given(
        self, where: Where, now: float, size: int, rest: bytes, nonce: bytes, cookie: bytes, key: bytes
    ) -> None:
        """The answer to a knock; or to a question or a beginning, which is to come again with this cookie."""
        name = nonce if self._attempts.get(nonce, where, now) else nonce[:INDEX_BYTES]
        attempt = self._attempts.get(name, where, now)
        if attempt is None:
            self._count("unasked")
            return
        path = attempt.path
        self._attempts.end(name)
        path.cookie, path.shown_until = cookie, now + self._shown_s
        if path.key is None:
            # Nobody has said who should be there. That whoever says so has this key, the handshake will prove.
            self._paths.discard((where, None))
            named = self._path(where, key.hex(), now)
            named.cookie, named.shown_until = path.cookie, path.shown_until
            named.waiting = (path.waiting + named.waiting)[:_MOST_WAITING]
            path.waiting = []
            path = named
            if path.opened is not None:
                self._flush(path, now)
                return
        if attempt.question is not None:
            path.waiting.insert(0, (attempt.question, True))
        self._go_on(path, now)

    def _ready(self, where: Where, now: float, size: int, rest: bytes, ours: bytes, theirs: bytes) -> None:
        """A session that this node has begun is agreed."""
        attempt = self._attempts.get(ours, where, now)
        if attempt is None or attempt.handshake is None:
            self._count("unasked")
            return
        path = attempt.path
        self._work()
        _, agreed = attempt.handshake.second(rest)
        self._attempts.end(ours)
        opened = Opened(path, theirs, DatagramSession(agreed, now), is_proven=True)
        self._opened.put(ours, opened, network_of(where[0]), now)
        self._use(path, opened, now)
        if not self._flush(path, now):
            # The other end uses the session when this one has spoken in it.
            self._seal(opened, b"", now)

    def _answered(self, where: Where, now: float, size: int, rest: bytes, nonce: bytes) -> None:
        """The answer to a question without a session."""
        attempt = self._attempts.get(nonce, where, now)
        if attempt is None or attempt.handshake is None:
            self._count("unasked")
            return
        path = attempt.path
        self._work()
        said, _ = attempt.handshake.second(rest)
        self._attempts.end(nonce)
        path.cookie, path.shown_until = said[:COOKIE_BYTES], now + self._shown_s
        if len(said) == COOKIE_BYTES:
            # Its answer would have been longer than the question: it is to be asked in a session.
            path.waiting.insert(0, (attempt.question or b"", False))
        else:
            self._take(said[COOKIE_BYTES:], path)
        self._go_on(path, now)
        if path.was_answered and not self._is_usable(path, now):
            # Who is asked again and again is asked in a session: each question without one takes two handshakes.
            self._reach(path, now)
        path.was_answered = True

    # How one is answered.

    def knock_received(self, data: bytes, where: Where, now: float) -> None:
        """Take a knock, of the right length: there may be very many."""
        if self._may_answer(where[0], now):
            self._give_cookie(data[1 : 1 + NONCE_BYTES], where, now)

    def _may_answer(self, host: str, now: float) -> bool:
        """Whether a host that may not be there is sent one more answer; else it is counted."""
        if self._newcomers.allow(host, now) or self._answers.allow(host, now):
            return True
        self._count("unanswered")
        return False

    def _give_cookie(self, nonce: bytes, where: Where, now: float) -> None:
        """Say to an address what it has to show, and whose cookie that is."""
        self._write(packets.COOKIE.make(nonce, self._cookie_for(where, now), self._key), where)

    def _cookie_for(self, where: Where, now: float) -> bytes:
        return bytes.fromhex(self._cookies.cookie_for(*where, now))

    def _asked(self, where: Where, now: float, size: int, rest: bytes, nonce: bytes, cookie: bytes) -> None:
        """A question of somebody without a session."""
        if self._handshake_share.is_spent(where[0], now):
            self._count("put off")
            return
        if cookie != packets.NO_COOKIE and self._cookies.is_valid(cookie.hex(), *where, now):
            if not self._handshake_share.allow(where[0], now):
                self._count("put off")
                return
        elif not self._may_answer(where[0], now):
            return
        elif not self._handshake_share.allow_unproven(now):
            self._count("put off")
            self._give_cookie(nonce, where, now)
            return
        self._work()
        heard = self._handshakes.hear(rest, QUESTION)
        length = int.from_bytes(heard.said[:_SIZE_BYTES], "big")
        said = heard.said[_SIZE_BYTES : _SIZE_BYTES + length]
        room = size - packets.ANSWER.size
        answer = self._answer_question(said, where, heard.key, room)
        fits = answer is not None and len(answer) <= room
        second, _ = heard.reply(self._cookie_for(where, now) + (answer if fits and answer else b""))
        self._write(packets.ANSWER.make(nonce, rest=second), where)

    def _begun(self, where: Where, now: float, size: int, rest: bytes, theirs: bytes, cookie: bytes) -> None:
        """Somebody begins a session."""
        if self._handshake_share.is_spent(where[0], now):
            self._count("put off")
            return
        if not self._cookies.is_valid(cookie.hex(), *where, now):
            if self._may_answer(where[0], now):
                self._give_cookie(theirs + bytes(NONCE_BYTES - INDEX_BYTES), where, now)
            return
        if not self._handshake_share.allow(where[0], now):
            self._count("put off")
            return
        self._work()
        heard = self._handshakes.hear(rest, SESSION)
        if not self._is_later(heard, now):
            self._count("replayed")
            return
        second, agreed = heard.reply(b"")
        path = self._path(where, heard.key, now)
        ours = self._new_index()
        path.pending = Opened(path, theirs, DatagramSession(agreed, now), is_proven=False)
        self._opened.put(ours, path.pending, network_of(where[0]), now)
        self._write(packets.READY.make(theirs, ours, rest=second), where)

    def _is_later(self, heard: Heard, now: float) -> bool:
        """Whether this beginning is not older than the last of this key; the last may come again."""
        number = int.from_bytes(heard.said[:_NUMBER_BYTES], "big")
        last = self._numbers.get(heard.key, now)
        if last is not None and number < last:
            return False
        self._numbers.put(heard.key, number, heard.key[:2], now)
        return True

    # In a session.

    def sealed_received(self, data: bytes, where: Where, now: float) -> None:
        """Take what was sealed in a session: a datagram that is long enough, and begins so."""
        index = data[1:_INDEX_ENDS]
        opened = self._opened.get(index, now)
        if opened is None or opened.path.where != where:
            self._count("unknown session")
            if self._may_answer(where[0], now):
                self._write(packets.LOST.make(index), where)
            return
        try:
            said = opened.session.open(data, now, _INDEX_ENDS)
        except Unproven:
            self._count("unproven")
            return
        path = opened.path
        if not opened.is_proven:
            opened.is_proven = True
            self._use(path, opened, now)
            self._flush(path, now)
        if said:
            self._take(said, path)

    def _lost(self, where: Where, now: float, size: int, rest: bytes, index: bytes) -> None:
        """The other end says that it does not know a session: that may be, or somebody else has said it."""
        path = self._latest.get(where, now)
        if path is None or path.opened is None or path.opened.theirs != index or now < path.doubted_at + _DOUBT_S:
            self._count("unasked")
            return
        path.is_doubted, path.doubted_at = True, now
        self._reach(path, now)

    def _use(self, path: Path, opened: Opened, now: float) -> None:
        """Speak in a session from now on."""
        path.opened, path.pending = opened, None
        path.is_doubted = False
        self._latest.put(path.where, path, network_of(path.where[0]), now)
        unnamed = self._paths.get((path.where, None), now)
        if unnamed is not None and unnamed is not path:
            self._paths.discard((path.where, None))
            path.waiting += unnamed.waiting

    def _seal(self, opened: Opened, said: bytes, now: float) -> None:
        self._write(opened.head + opened.session.seal(said, now), opened.path.where)

    def _flush(self, path: Path, now: float) -> bool:
        """Send what has waited for a session; returns whether there was anything."""
        waiting, path.waiting = path.waiting, []
        for said, _ in waiting:
            assert path.opened is not None, "there is one"
            self._seal(path.opened, said, now)
        return bool(waiting)

    # Of paths.

    def _path(self, where: Where, key: str | None, now: float) -> Path:
        """The path to a key at an address, or to whoever was last proven to be there."""
        if key is None:
            latest = self._latest.get(where, now)
            if latest is not None and self._is_usable(latest, now):
                return latest
        path = self._paths.get((where, key), now)
        if path is None:
            path = Path(where, key)
        self._paths.put((where, key), path, network_of(where[0]), now)
        return path

    def _is_usable(self, path: Path, now: float) -> bool:
        """Whether there is a session that nobody has just said to be lost."""
        opened = path.opened
        return opened is not None and not opened.session.is_over(now) and not path.is_doubted

    def _give_up(self, path: Path) -> None:
        """Nobody can be reached by this key."""
        self._count("unsent")
        path.waiting.clear()
