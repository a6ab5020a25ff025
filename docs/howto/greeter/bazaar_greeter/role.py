"""A role that greets: it says hello to each node that is newly linked, and asks everybody how they greet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.errors import UsageError
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.role import Role
from twisted_bazaar.roles.commands.requests import read_request
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Origin, Peer
from twisted_bazaar.wire.message import Flooded, Message, MessageId, Routed

LONGEST_GREETING: Final = 100
MOST_ANSWERS: Final = 100
MOST_QUESTIONS: Final = 10
ANSWERS_S: Final = 2.0

Words = Annotated[str, Meta(min_length=1, max_length=LONGEST_GREETING)]


class Hello(Message, tag="hello"):
    """A greeting. Never answered.

    @ivar words: what is said, 1 to 100 characters.
    """

    words: Words


class HowDoYouGreet(Flooded, tag="howdoyougreet"):
    """Asks everybody within reach how they greet."""


class SoIGreet(Routed, tag="soigreet"):
    """The answer to C{howdoyougreet}. Never answered.

    @ivar id: of the question.
    @ivar words: what is said, 1 to 100 characters.
    """

    id: MessageId
    words: Words


def parse_words(text: str, option: str) -> str:
    """Read a greeting.

    @raise UsageError: it is empty or too long.
    """
    if not 1 <= len(text) <= LONGEST_GREETING:
        raise UsageError(f"{option} takes 1 to {LONGEST_GREETING} characters, not {len(text)}")
    return text


OPTIONS: Final = (
    Option("words", "What to say to each node that is newly linked.", "WORDS", "hello", read=parse_words),
)


class AskRequest(msgspec.Struct):
    """What the owner says with the command C{greetings}.

    @ivar reach: over how many links to ask, 1 to 7.
    """

    reach: Annotated[int, Meta(ge=1, le=7)] = 4


class Question:
    """A question that is under way.

    @ivar answers: a row for each answer.
    @ivar answered: fires with them when the time is up.
    @ivar timer: ends it.
    """

    def __init__(self, timer: Timer) -> None:
        self.answers: list[dict[str, Any]] = []
        self.answered: Deferred[list[dict[str, Any]]] = Deferred()
        self.timer = timer
        timer.set(ANSWERS_S)


class Greeter(Role):
    """Says hello, and asks others how they do.

    @param words: how.
    """

    def __init__(self, words: str) -> None:
        self._words = words
        self._greeted = 0
        self._questions: dict[int, Question] = {}
        self.receives = {
            Hello: self._hello_received,
            HowDoYouGreet: self._question_received,
            SoIGreet: self._answer_received,
        }
        self.commands = {"status": self._tell_status, "greetings": self._ask_everybody}

    def peer_joined(self, peer: Peer) -> None:
        """Greet a node that is newly linked, over that link."""
        self.node.send(Hello(words=self._words), (self.node.id, peer.id))

    def _hello_received(self, hello: Hello, origin: Origin) -> None:
        self._greeted += 1
        self.node.report("greeted", "node {sender} says {words!r}", sender=origin.id, words=hello.words)

    def _question_received(self, question: HowDoYouGreet, origin: Origin) -> None:
        self.node.send(SoIGreet(id=question.id, words=self._words), origin.route)

    def _ask_everybody(self, request: Mapping[str, Any]) -> Deferred[Any]:
        asked = read_request(request, AskRequest)
        if len(self._questions) == MOST_QUESTIONS:
            raise UsageError(f"{MOST_QUESTIONS} questions are under way; ask again in {ANSWERS_S:g} s")
        flood = self.node.new_flood(HowDoYouGreet, ttl=asked.reach)
        if not self.node.flood(flood):
            raise UsageError("there is nobody to ask: no node is linked")
        question = Question(Timer(self.node.clock, lambda: self._end(flood.id)))
        self._questions[flood.id] = question
        return question.answered

    def _answer_received(self, answer: SoIGreet, origin: Origin) -> None:
        question = self._questions.get(answer.id)
        if question is not None and len(question.answers) < MOST_ANSWERS:
            question.answers.append({"node": origin.id, "links": len(origin.route) - 1, "words": answer.words})

    def _end(self, question_id: int) -> None:
        question = self._questions.pop(question_id)
        question.timer.cancel()
        question.answered.callback(question.answers)

    def stop(self) -> Deferred[None]:
        """End each question with the answers that have come so far."""
        for question_id in list(self._questions):
            self._end(question_id)
        return succeed(None)

    def _tell_status(self, request: Mapping[str, Any]) -> Deferred[Any]:
        return succeed({"role": "greeter", "words": self._words, "greeted by": self._greeted})


def make_role(options: OptionValues, context: RoleContext) -> Greeter:
    """Make a greeter from its options."""
    return Greeter(options["words"])
