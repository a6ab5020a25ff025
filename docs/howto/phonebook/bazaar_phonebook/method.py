"""A way to find: everybody whose address stands in a file is asked, each time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self

from msgspec import Meta
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from twisted_bazaar.errors import LinkClosed, PeerError, UsageError
from twisted_bazaar.interfaces import ICatalogue, INode
from twisted_bazaar.role import Role
from twisted_bazaar.roles.discovery.method import DiscoveryContext, DiscoveryMethod
from twisted_bazaar.settings.option import Option, OptionValues
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Origin, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page, SharedFile
from twisted_bazaar.values.joining import Asked, JoinObserver
from twisted_bazaar.wire.files import Digest, FileName, FileSize
from twisted_bazaar.wire.message import Message

MOST_ANSWERED: Final = 20
ANSWER_S: Final = 1.0
AGAIN_S: Final = 5.0


class PhonebookAsk(Message, tag="phonebook.ask"):
    """A question for files with a word in their names, or with a digest. Answered by L{PhonebookAnswer}."""

    id: Annotated[int, Meta(ge=1, le=2**53)]
    word: Annotated[str, Meta(max_length=255)] = ""
    digest: Digest | None = None


class PhonebookAnswer(Message, tag="phonebook.answer"):
    """One file of those asked for; C{id} is that of the question."""

    id: Annotated[int, Meta(ge=1, le=2**53)]
    name: FileName
    size: FileSize
    digest: Digest


@implementer(ICatalogue)
class Phonebook(Role):
    """Asks those in a phone book for files, and answers them.

    @param numbers: where they listen.
    @param observer: told how this node joins them.
    """

    is_self_numbered = True
    needs_neighbours = False

    def __init__(self, numbers: Sequence[IStreamClientEndpoint], observer: JoinObserver) -> None:
        self._numbers = numbers
        self._observer = observer
        self._own: dict[str, SharedFile] = {}
        self._met: dict[int, Peer] = {}
        self._answers: dict[int, dict[tuple[int, str], tuple[SharedFile, Peer]]] = {}
        self.receives = {PhonebookAsk: self._asked, PhonebookAnswer: self._answered}

    def start(self, node: INode) -> None:
        """Meet everybody in the book."""
        super().start(node)
        self._again = Timer(node.clock, self._meet_all)
        self._meet_all()

    def stop(self) -> Deferred[None]:
        """Meet nobody any more."""
        self._again.cancel()
        return succeed(None)

    def peer_left(self, peer: Peer) -> None:
        """One is gone, and is met again when it is back."""
        if self._met.pop(peer.id, None) is not None:
            self._again.set_earlier(AGAIN_S)

    def _meet_all(self) -> None:
        for place, number in enumerate(self._numbers):
            self.node.hold_link(number, self).addCallbacks(self._has_met, self._not_met, callbackArgs=(place,))

    def _has_met(self, peer: Peer, place: int) -> None:
        self._met[peer.id] = peer
        self._observer.joined(f"by number {place + 1} of the phone book")

    def _not_met(self, failure: Any) -> None:
        failure.trap(PeerError)
        self._again.set_earlier(AGAIN_S)

    # What others ask.

    def _asked(self, question: PhonebookAsk, origin: Origin) -> None:
        wanted = [file for file in self._own.values() if _fits(file, question)]
        for file in wanted[:MOST_ANSWERED]:
            answer = PhonebookAnswer(id=question.id, name=file.name, size=file.size, digest=file.digest)
            self.node.send(answer, origin.route)

    def _answered(self, answer: PhonebookAnswer, origin: Origin) -> None:
        answers, peer = self._answers.get(answer.id), self._met.get(origin.id)
        if answers is not None and peer is not None and len(answers) < MOST_ANSWERED * len(self._met):
            answers[peer.id, answer.name] = SharedFile(answer.name, answer.size, answer.digest), peer

    # What this node's roles ask: ICatalogue.

    def publish(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        """Answer for these files from now on."""
        self._own.update((file.name, file) for file in added)
        for name in removed:
            self._own.pop(name, None)

    def set_load(self, downloads: int) -> None:
        """Nobody is told."""

    def search(self, query: FileQuery) -> Deferred[Page]:
        """Ask everybody; what is known after a second counts.

        @raise LinkClosed: nobody can be asked.
        """
        question = PhonebookAsk(id=self._new_id(), word=query.name or query.words or "", digest=query.digest)
        return self._ask(question).addCallback(lambda answers: _page(answers, query))

    def sources(self, digest: str) -> Deferred[Sequence[FileSource]]:
        """Who has a file.

        @raise LinkClosed: nobody can be asked.
        """
        asking = self._ask(PhonebookAsk(id=self._new_id(), digest=digest))
        return asking.addCallback(lambda answers: [FileSource(peer.id, peer.key, peer.address) for _, peer in answers])

    def _new_id(self) -> int:
        return 1 + self.node.rng.getrandbits(48)

    def _ask(self, question: PhonebookAsk) -> Deferred[list[tuple[SharedFile, Peer]]]:
        if not self._met:
            raise LinkClosed("nobody in the phone book is there")
        self._answers[question.id] = {}
        for peer in self._met.values():
            self.node.send(question, (self.node.id, peer.id))
        answer: Deferred[list[tuple[SharedFile, Peer]]] = Deferred()

        def give() -> None:
            answer.callback(list(self._answers.pop(question.id).values()))

        self.node.clock.callLater(ANSWER_S, give)
        return answer


def _fits(file: SharedFile, question: PhonebookAsk) -> bool:
    if question.digest is not None:
        return file.digest == question.digest
    return question.word.casefold() in file.name.casefold()


def _page(answers: list[tuple[SharedFile, Peer]], query: FileQuery) -> Page:
    """What was found, each file once."""
    sources: dict[tuple[str, int, str], int] = {}
    for file, _ in answers:
        if query.name in (None, file.name):
            named = (file.name, file.size, file.digest)
            sources[named] = sources.get(named, 0) + 1
    found = [FoundFile(name, size, digest, count) for (name, size, digest), count in sources.items()]
    return Page(found[: query.most], len(found))


ASKED: Final = Asked(
    name="phone book entry",
    short_name="number",
    one_of="somebody in the phone book",
    whole="a phone book",
    role="relay",
    usual="tcp:127.0.0.1:9400",
    option="--phonebook",
    beside="--via phonebook --phonebook FILE",
)
PHONEBOOK: Final = Option("phonebook", "A file with an endpoint in each line: who is asked.", "FILE")


class PhonebookMethod(DiscoveryMethod):
    """Files are found by asking everybody in a phone book; goods are not found."""

    name = "phonebook"
    options = (PHONEBOOK,)
    command_options = (PHONEBOOK,)
    asked = ASKED
    nobody_asked = "nobody in the phone book was there"
    lists_everything = True

    def __init__(self, numbers: Sequence[IStreamClientEndpoint] = (), observer: JoinObserver | None = None) -> None:
        self.book = Phonebook(numbers, observer or JoinObserver())
        self.roles = (self.book,)

    @classmethod
    def from_options(cls, options: OptionValues, context: DiscoveryContext) -> Self:
        """Make it as options say.

        @raise UsageError: there is no phone book, or it holds what is no endpoint.
        """
        return cls([context.endpoint(place, ASKED) for place in cls.places(options)], context.observer)

    @classmethod
    def places(cls, options: OptionValues) -> Sequence[str]:
        """The endpoints in the phone book."""
        path = options["phonebook"]
        if path is None:
            raise UsageError("--via phonebook: say where the phone book is, with --phonebook FILE")
        try:
            lines = Path(path).read_text(encoding="utf-8").split()
        except (OSError, ValueError) as error:
            raise UsageError(f"--phonebook {path}: {getattr(error, 'strerror', None) or error}") from None
        return list(dict.fromkeys(lines))

    def make_catalogue(self) -> ICatalogue:
        """What finds files."""
        return self.book
