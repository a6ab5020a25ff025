"""Goods and files found by a ring: the same buyer, seller and sharer, and a way of finding with no centre."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from tests.discovery.ring.nets import key_pair
from tests.files.cases import MIB, file_of
from tests.roles.files_cases import FilesCase
from twisted_bazaar.discovery.ring.records.records import (
    provider_key,
    seller_key,
    word_key,
    write_page,
    write_provided,
)
from twisted_bazaar.discovery.ring.records.republishing import Republisher
from twisted_bazaar.discovery.ring.records.search import RingSearch
from twisted_bazaar.errors import LinkClosed, PeerError, UsageError, WholeDigestsOnly
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.files.download.progress import Receipt
from twisted_bazaar.files.memory import MemoryContent, manifest_of
from twisted_bazaar.identity.keys import own_id
from twisted_bazaar.node.node import Node
from twisted_bazaar.roles.buyer import Buyer
from twisted_bazaar.roles.discovery.ring import RingMethod
from twisted_bazaar.roles.fetcher import Fetcher
from twisted_bazaar.roles.fetching import choose
from twisted_bazaar.roles.seller import Seller
from twisted_bazaar.roles.want import Want
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileQuery, FileSource, SharedFile
from twisted_bazaar.values.sale import Supply
from twisted_bazaar.wire.goods import BAZAAR

SMALL: Final = file_of(3000)
LARGE: Final = file_of(2 * MIB + 5)


def shared(name: str, content: bytes) -> SharedFile:
    """A file as it is offered."""
    manifest = manifest_of(content)
    return SharedFile(name, manifest.size, manifest.digest)


class _Holder(Fetcher):
    """A node that has one file."""

    def __init__(self, way: RingMethod, content: bytes, open_part: Any) -> None:
        catalogue = way.make_catalogue()
        assert catalogue is not None
        super().__init__(catalogue, open_part)
        self.manifest = manifest_of(content)
        self._bytes = content

    def content(self, digest: str) -> Any:
        """That one."""
        return MemoryContent(self.manifest, self._bytes) if digest == self.manifest.digest else super().content(digest)


class RingCase(FilesCase):
    """A ring of nodes that find by it."""

    def setUp(self) -> None:
        """Have nobody yet."""
        super().setUp()
        self.ways: dict[Node, RingMethod] = {}
        self.made = 0

    def way(self, by: Node | None, **about: Any) -> RingMethod:
        """A way of finding, that comes in by a node."""
        return RingMethod(None if by is None else Address(*self.network.where(by)), **about)

    def add(self, way: RingMethod, *roles: Any, **about: Any) -> Node:
        """Start a node with a key of its own."""
        self.made += 1
        about = {"key": key_pair(self.made), "udp": True, "min_links": 0, "max_links": 400, **about}
        node = self.network.add_node(*way.roles, *roles, **about)
        self.ways[node] = way
        return node

    def ring(self, count: int) -> list[Node]:
        """A ring at rest of nodes that only keep what others say."""
        nodes = [self.add(self.way(None))]
        self.network.run(0.1)
        for _ in range(count - 1):
            nodes.append(self.add(self.way(nodes[0])))
        self.settle()
        return nodes

    def settle(self) -> None:
        """Let time pass until all are on the ring, and all have told what they have."""
        living = [self.ways[node].finder for node in self.network.nodes if node in self.ways]
        self.until(lambda: all(finder.member.can_ask and not finder.search.unpublished for finder in living))
        self.network.run(3.0)

    def sell(self, by: Node) -> Node:
        """Start a seller of five apples."""
        way = self.way(by)
        node = self.add(way, Seller({"apple": Supply(5)}, discovery=way))
        self.until(lambda: way.finder.member.is_member)
        self.until(lambda: self.under(by, seller_key(BAZAAR, "apple")))
        return node

    def buy(self, by: Node | None, quantity: int = 2, **how: Any) -> Buyer:
        """Start a buyer of apples."""
        way = self.way(by)
        buyer = Buyer([Want("apple", quantity)], discovery=way, **how)
        self.add(way, buyer)
        return buyer

    def bought(self) -> int:
        """How many apples have been bought."""
        return sum(details["quantity"] for details in self.network.events_of("bought"))

    def hold(self, by: Node, name: str, content: bytes) -> Node:
        """Start a node that has a file, and wait until others can find it."""
        way = self.way(by)
        holder = _Holder(way, content, self.open_part)
        node = self.add(way, holder)
        holder.publish([shared(name, content)], [])
        self.until(lambda: way.finder.member.is_member and not way.finder.search.unpublished)
        return node

    def guest(self, by: Node) -> tuple[Node, Fetcher]:
        """Start a node that only asks, and fetches."""
        way = self.way(by, is_client=True)
        catalogue = way.make_catalogue()
        assert catalogue is not None
        fetcher = Fetcher(catalogue, self.open_part)
        node = self.add(way, fetcher)
        self.until(lambda: way.finder.member.can_ask)
        return node, fetcher

    def found(self, node: Node, **query: Any) -> list[str]:
        """The names of the files that a question finds."""
        catalogue = self.ways[node].finder.search
        return [file.name for file in self.result(catalogue.search(FileQuery(**query))).files]

    def sources(self, node: Node, content: bytes) -> Sequence[FileSource]:
        """Who has a file, as a node finds."""
        return self.result(self.ways[node].finder.search.sources(manifest_of(content).digest))

    def under(self, node: Node, key: tuple[str, str]) -> list[str]:
        """Who has put something under a key."""
        holdings = self.result(self.ways[node].finder.dht.get(*key))
        return [holding.entry.kept.owner for holding in holdings]

    def put(self, node: Node, key: tuple[str, str], value: bytes) -> None:
        """Have a node say something, whatever it is."""
        self.result(self.ways[node].finder.dht.put(*key, value, lifetime=3600))


class GoodsTests(RingCase):
    """Goods bought by a ring."""

    def test_standing(self) -> None:
        """Its operator is told where it stands, as one of a node is that keeps files."""
        nodes = self.ring(2)
        own, other = (self.ways[node].finder.member for node in nodes)
        row = self.successResultOf(self.ways[nodes[0]].finder.commands["ring.status"]({}))
        identifiers = {"ring_id": own.ring.display(own.own.id), "predecessor": own.ring.display(other.own.id)}
        self.assertEqual({name: row[name] for name in identifiers}, identifiers)
        self.assertEqual((row["member"], row["successors"]), (True, [identifiers["predecessor"]]))

    def test_bought(self) -> None:
        """A seller on the ring is found from another place on it, and sells once."""
        nodes = self.ring(5)
        self.sell(nodes[1])
        self.buy(nodes[2])
        self.until(self.bought)
        self.network.run(10)
        self.assertEqual((self.bought(), len(self.network.events_of("sold"))), (2, 1))

    def test_first_of_all(self) -> None:
        """Who has begun the ring finds who has joined it, and the other way round."""
        buyer = self.buy(None)
        [node] = self.network.nodes
        self.network.run(1)
        self.sell(node)
        self.until(self.bought)
        self.assertFalse(any(want.missing for want in buyer.wants))

    def test_seller_comes_later(self) -> None:
        """Who wants what nobody has yet goes on looking."""
        nodes = self.ring(3)
        self.buy(nodes[0])
        self.network.run(20)
        self.sell(nodes[1])
        self.until(self.bought)

    def test_members_die(self) -> None:
        """Two members next to each other die without a word: the seller is found all the same."""
        nodes = self.ring(7)
        self.sell(nodes[0])
        self.network.run(2)
        ring = self.ways[nodes[0]].finder.member.ring
        identifier = ring.key_of(seller_key(BAZAAR, "apple")[1])
        order = sorted(nodes, key=lambda node: ring.distance(identifier, self.ways[node].finder.member.own.id))
        for node in order[:2]:
            self.network.crash(node)
        self.buy(order[-1])
        self.until(self.bought)

    def test_another_bazaar(self) -> None:
        """Goods of another bazaar are not found."""
        self.assertNotEqual(seller_key("one", "apple"), seller_key("other", "apple"))

    def test_nobody(self) -> None:
        """Who finds no ring to ask says so, and ends with 4."""
        host = self.network.host()
        way = RingMethod(Address(host.addresses[0], 9300))
        buyer = Buyer([Want("apple", 1)], discovery=way, once_s=5.0)
        self.add(way, buyer)
        self.network.run(6)
        self.assertEqual(self.successResultOf(buyer.finished), ExitStatus.UNREACHED)
        self.assertEqual(len(self.network.events_of("nobody_asked")), 1)

    def test_claims_to_sell(self) -> None:
        """Who says that it sells and does not costs a question, and nothing is bought there."""
        nodes = self.ring(4)
        self.put(nodes[3], seller_key(BAZAAR, "apple"), b"")
        self.sell(nodes[0])
        self.buy(nodes[1])
        self.until(self.bought)
        self.assertEqual(len(self.network.events_of("sold")), 1)


class FilesTests(RingCase):
    """Files found by a ring."""

    def fetch(self, fetcher: Fetcher, name: str) -> bytes:
        """Fetch a file by its name."""
        found = self.result(choose(fetcher.catalogue, name))
        self.begin(fetcher, found, give_up_s=60.0)
        self.until(lambda: self.ended)
        part = self.ended[0].part
        self.assertIsInstance(self.ended[0].outcome, Receipt)
        return b"".join(self.result(part.read(chunk)) for chunk in range(part.manifest.count))  # type: ignore[union-attr]

    def test_fetched(self) -> None:
        """A guest finds a file by its name, and fetches it from whoever has it."""
        nodes = self.ring(5)
        self.hold(nodes[0], "paper one.pdf", LARGE)
        self.hold(nodes[1], "paper one.pdf", LARGE)
        _, fetcher = self.guest(nodes[3])
        self.assertEqual(self.fetch(fetcher, "paper one.pdf"), LARGE)

    def test_found(self) -> None:
        """It is found by its name, by any of its words, by the beginning of the last, and by its content."""
        nodes = self.ring(4)
        self.hold(nodes[0], "paper one.pdf", SMALL)
        asking, _ = self.guest(nodes[2])
        for query in (
            {"name": "paper one.pdf"},
            {"words": "ONE"},
            {"words": "pdf paper"},
            {"words": "paper on"},
            {"digest": manifest_of(SMALL).digest},
        ):
            self.assertEqual(self.found(asking, **query), ["paper one.pdf"], query)
        for query in ({"name": "paper one"}, {"words": "two"}, {"words": "paper two"}, {"digest": "0" * 64}):
            self.assertEqual(self.found(asking, **query), [], query)

    def test_long_word(self) -> None:
        """It is found by a word, too, that is longer than there is room for where its owner has listed it."""
        nodes = self.ring(2)
        self.hold(nodes[0], "a" * 253, SMALL)
        asking, _ = self.guest(nodes[1])
        self.assertEqual(self.found(asking, words="a" * 253), ["a" * 253])
        self.assertEqual(self.found(asking, words="a" * 252 + "b"), [])

    def test_everything(self) -> None:
        """There is no list of everything."""
        [node] = self.ring(1)
        self.failureResultOf(self.ways[node].finder.search.search(FileQuery()), PeerError)
        self.failureResultOf(self.ways[node].finder.search.search(FileQuery(digest="0" * 12)), WholeDigestsOnly)

    def test_pages(self) -> None:
        """What does not fit on a page is on the following, each file once."""
        nodes = self.ring(3)
        names = [f"paper {number}.pdf" for number in range(40)]
        files = [SharedFile(name, 7, f"{number:064x}") for number, name in enumerate(names)]
        self.ways[nodes[1]].finder.search.publish(files, [])
        self.settle()
        search = self.ways[nodes[2]].finder.search
        page = self.result(search.search(FileQuery(words="paper", most=30)))
        rest = self.result(search.search(FileQuery(words="paper", most=30, after=page.next)))
        self.assertEqual((len(page.files), len(rest.files), page.total), (30, 10, 40))
        self.assertEqual(sorted(file.name for file in [*page.files, *rest.files]), sorted(names))

    def test_withdrawn(self) -> None:
        """What is offered no more is found no more, by its other files its owner still is."""
        nodes = self.ring(4)
        search = self.ways[nodes[0]].finder.search
        search.publish([shared("paper one.pdf", SMALL), shared("paper two.pdf", LARGE)], [])
        self.settle()
        self.assertEqual(len(self.found(nodes[1], words="paper")), 2)
        search.publish([], ["paper one.pdf"])
        self.settle()
        self.assertEqual(self.found(nodes[1], words="paper"), ["paper two.pdf"])
        self.assertEqual(self.sources(nodes[1], SMALL), [])

    def test_leaves(self) -> None:
        """Who leaves takes along what it has said."""
        nodes = self.ring(4)
        holder = self.hold(nodes[0], "paper.pdf", SMALL)
        self.assertEqual(self.found(nodes[2], words="paper"), ["paper.pdf"])
        self.network.stop(holder)
        self.network.run(12)
        self.assertEqual(self.found(nodes[2], words="paper"), [])

    def test_dead_holder(self) -> None:
        """Who has died is not named as a source, though what it has said is still there."""
        nodes = self.ring(5)
        dead = self.hold(nodes[0], "paper.pdf", SMALL)
        self.hold(nodes[1], "paper.pdf", SMALL)
        self.network.crash(dead)
        self.network.run(5)
        asking, fetcher = self.guest(nodes[3])
        self.assertEqual(len(self.under(asking, provider_key(manifest_of(SMALL).digest))), 2)
        self.assertEqual(len(self.sources(asking, SMALL)), 1)
        self.assertEqual(self.fetch(fetcher, "paper.pdf"), SMALL)

    def test_source(self) -> None:
        """A source is named with its key, where it takes links, and where it takes datagrams."""
        nodes = self.ring(3)
        holder = self.hold(nodes[0], "paper.pdf", SMALL)
        [source] = self.sources(nodes[1], SMALL)
        key = holder.key.public
        address = Address(*self.network.where(holder))
        udp = self.network.where_datagrams(holder).port
        self.assertEqual(source, FileSource(own_id(key), key, address, udp=udp))

    def test_not_itself(self) -> None:
        """A node is no source for itself."""
        nodes = self.ring(3)
        holder = self.hold(nodes[0], "paper.pdf", SMALL)
        self.assertEqual(self.sources(holder, SMALL), [])

    def test_expires(self) -> None:
        """What is not put anew is forgotten; what is, stays."""
        nodes = self.ring(4)
        dead = self.hold(nodes[0], "old.pdf", SMALL)
        self.hold(nodes[1], "new.pdf", LARGE)
        self.network.crash(dead)
        self.network.run(2000)
        self.assertEqual(self.found(nodes[2], words="pdf"), ["new.pdf"])


class LiarsTests(RingCase):
    """Members that say what is not so."""

    def test_address_of_another(self) -> None:
        """A record has no address: nobody is sent to a node whose key is not the owner's."""
        nodes = self.ring(4)
        digest = manifest_of(SMALL).digest
        victim = Address(*self.network.where(nodes[1]))
        value = json.loads(write_provided(shared("paper.pdf", SMALL)))
        value |= {"host": victim.host, "port": victim.port}
        self.put(nodes[0], provider_key(digest), json.dumps(value).encode())
        [source] = self.sources(nodes[2], SMALL)
        self.assertEqual((source.key, source.address), (nodes[0].key.public, Address(*self.network.where(nodes[0]))))

    def test_wrong_size(self) -> None:
        """Who lies about a size makes it no other file: what most say counts, and the digest in the end."""
        nodes = self.ring(5)
        self.hold(nodes[0], "paper.pdf", SMALL)
        self.hold(nodes[1], "paper.pdf", SMALL)
        lie = SharedFile("paper.pdf", 7, manifest_of(SMALL).digest)
        for word in ("paper", "pdf"):
            self.put(nodes[2], word_key(word), write_page([lie]))
        self.put(nodes[2], provider_key(lie.digest), write_provided(lie))
        _, fetcher = self.guest(nodes[3])
        found = self.result(choose(fetcher.catalogue, "paper.pdf"))
        self.assertEqual((found.size, found.digest), (len(SMALL), lie.digest))
        self.begin(fetcher, found, give_up_s=60.0)
        self.until(lambda: self.ended)
        self.assertEqual(self.ended[0].part.manifest, manifest_of(SMALL))

    def test_rubbish(self) -> None:
        """What is no record is passed over, and so are names that lead out of a folder."""
        nodes = self.ring(4)
        digest = manifest_of(SMALL).digest
        self.hold(nodes[0], "paper.pdf", SMALL)
        for number, value in enumerate((b"\xff", b"[]", b'{"files":[["../paper","x"]]}')):
            self.put(nodes[number + 1], word_key("paper"), value)
            self.put(nodes[number + 1], provider_key(digest), value)
        evil = SharedFile("../paper", 7, digest)
        self.put(nodes[1], word_key("paper"), write_page([evil]))
        asking, _ = self.guest(nodes[2])
        self.assertEqual(self.found(asking, words="paper"), ["paper.pdf"])
        self.assertEqual(len(self.sources(asking, SMALL)), 1)

    def test_what_was_not_asked_for(self) -> None:
        """A file that stands under a word which it has not is left out."""
        nodes = self.ring(3)
        self.put(nodes[0], word_key("paper"), write_page([shared("advert.exe", SMALL)]))
        self.assertEqual(self.found(nodes[1], words="paper"), [])

    def test_very_many_pages(self) -> None:
        """Who says that there are more pages than there can be is heard with one."""
        nodes = self.ring(3)
        self.put(nodes[0], word_key("paper"), b'{"files":[],"pages":1000000}')
        before = len(self.network.datagrams)
        self.assertEqual(self.found(nodes[1], words="paper"), [])
        self.assertLess(len(self.network.datagrams) - before, 200)

    def test_very_many_records(self) -> None:
        """Who fills the ring with records pushes out nobody's, and has no more than its share."""
        nodes = self.ring(3)
        for node in nodes:
            store = self.ways[node].finder.dht.store
            store._most, store._share = 400, 50
        self.hold(nodes[0], "paper.pdf", SMALL)
        files = [SharedFile(f"spam {number}.txt", 1, f"{number:064x}") for number in range(300)]
        self.ways[nodes[1]].finder.search.publish(files, [])
        self.network.run(120)
        for node in nodes:
            store = self.ways[node].finder.dht.store
            owned = [entry for entry in store if entry.kept.owner == nodes[1].key.public]
            self.assertLessEqual(len(owned), 50)
        self.assertEqual(self.found(nodes[2], name="paper.pdf"), ["paper.pdf"])


class PlantedTests(RingCase):
    """The checks above catch what breaks the promises."""

    def test_believes_whoever_is_there(self) -> None:
        """Who takes whoever stands at the place of an owner for that owner names a node that has not got the file."""

        async def locate(search: RingSearch, owner: str) -> Any:
            holders = (await search._ring_node.lookups.find(search._ring_node.ring.id_of_key(owner))).holders
            return replace(holders[0], key=owner)

        self.patch(RingSearch, "_locate", locate)
        nodes = self.ring(5)
        dead = self.hold(nodes[0], "paper.pdf", SMALL)
        self.network.crash(dead)
        self.network.run(5)
        self.assertEqual(len(self.sources(nodes[3], SMALL)), 1)

    def test_never_puts_anew(self) -> None:
        """What is put once and never again is forgotten, though its owner is there."""
        self.patch(Republisher, "_done", lambda posting, key, posted: posting._under_way.pop(key) and None)
        nodes = self.ring(3)
        search = self.ways[nodes[1]].finder.search
        search.publish([shared("paper.pdf", SMALL)], [])
        self.network.run(10)
        self.assertEqual(self.found(nodes[2], words="paper"), ["paper.pdf"])
        self.network.run(2000)
        self.assertEqual(self.found(nodes[2], words="paper"), [])


class GuestTests(RingCase):
    """Nodes that ask, and never join."""

    def test_no_member(self) -> None:
        """No member takes a guest for a neighbour, whatever it asks, and nothing is kept at one."""
        nodes = self.ring(5)
        self.hold(nodes[0], "paper.pdf", SMALL)
        guests = [self.guest(node)[0] for node in nodes[:3]]
        for guest in guests:
            self.found(guest, words="paper")
            self.sources(guest, SMALL)
        self.network.run(70)
        keys = {guest.key.public for guest in guests}
        for node in self.network.nodes:
            member = self.ways[node].finder.member
            near = {member.stabilization.predecessor, *member.stabilization.successors} - {None}
            known = {contact.key for contact in (*near, *member.table.fingers) if contact is not None}
            self.assertFalse(known & keys)
        self.assertEqual([len(self.ways[guest].finder.dht.store) for guest in guests], [0, 0, 0])
        self.assertFalse(any(self.ways[guest].finder.member.is_member for guest in guests))

    def test_door_dies(self) -> None:
        """When the member that it came in by dies, it goes on with others whom it knows."""
        nodes = self.ring(6)
        self.hold(nodes[1], "paper.pdf", SMALL)
        asking, _ = self.guest(nodes[0])
        self.network.crash(nodes[0])
        self.assertEqual(self.found(asking, words="paper"), ["paper.pdf"])

    def test_comes_in_anew(self) -> None:
        """One that has lost all whom it knew asks where it once came in."""
        nodes = self.ring(2)
        asking, _ = self.guest(nodes[0])
        member = self.ways[asking].finder.member
        for contact in list(member.table.fingers):
            member.table.fingers.remove(contact)
        self.ways[nodes[1]].finder.search.publish([shared("paper.pdf", SMALL)], [])
        self.settle()
        self.assertEqual(self.found(asking, words="paper"), ["paper.pdf"])

    def test_alone(self) -> None:
        """When nobody is left, asking fails as it does where nobody can be asked."""
        [node] = self.ring(1)
        asking, _ = self.guest(node)
        self.network.crash(node)
        with self.assertRaises(LinkClosed):
            self.found(asking, words="paper")

    def test_one_member(self) -> None:
        """A ring of one can be asked too."""
        [node] = self.ring(1)
        self.ways[node].finder.search.publish([shared("paper.pdf", SMALL)], [])
        self.settle()
        asking, _ = self.guest(node)
        self.assertEqual(self.found(asking, words="paper"), ["paper.pdf"])
        self.assertEqual(len(self.sources(asking, SMALL)), 1)

    def test_needs_a_door(self) -> None:
        """A guest of no ring is refused."""
        self.assertRaises(UsageError, RingMethod, is_client=True)
