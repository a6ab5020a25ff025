"""A buyer written from the specification alone: sockets, TLS, JSON and Ed25519, and nothing of this package.

    python -m tests.integration.plain_buyer TRACKER_PORT BOOK buy ITEM QUANTITY
    python -m tests.integration.plain_buyer TRACKER_PORT BOOK cancel ITEM QUANTITY
    python -m tests.integration.plain_buyer TRACKER_PORT BOOK again

BOOK is a directory: its key is in there, and a file for each order. C{buy} joins through the tracker, links to a
node that the tracker names, searches, verifies what is quoted, and orders from the cheapest seller until there is an
answer. C{cancel} writes an order down as if to send it, takes it back instead, and then sends it late. C{again} asks
once more about every order in the book. Each prints one line of JSON about what came of it, and leaves. It takes
no connections.
"""

import base64
import contextlib
import hashlib
import json
import os
import secrets
import select
import socket
import sys
import time
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tests.integration.tls_by_hand import Identity, SealedSocket

HOST = "127.0.0.1"
BAZAAR = "bazaar"
LARGEST_INTEGER = 2**53
REACHES = ((2, 1.0), (4, 2.0), (7, 4.0))  # the ttl of each round of a search, and seconds to wait after it
GATHER_S = 0.3
FIRST_REPEAT_S, LONGEST_REPEAT_S = 1.0, 30.0
TRIES_BEFORE_SEARCH = 3
ASK_AGAIN_S = 0.1
PATIENCE_S = 20.0
OUTCOMES = ("sold", "refused", "cancelled")


class Forged(Exception):
    """A statement that does not hold."""


# Statements and their envelopes.


def seal(key, kind, statement):
    """Write a statement down once, and sign exactly these bytes."""
    payload_type = f"application/vnd.twisted-bazaar.{kind}+json"
    payload = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()
    signature = key.sign(signed_bytes(payload_type, payload)).signature
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": bytes(key.verify_key).hex(), "sig": base64.b64encode(signature).decode()}],
    }


def open_envelope(envelope, kind, signer):
    """What is stated: the signature first, then the very bytes that it holds for."""
    try:
        payload_type = envelope["payloadType"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        [signature] = envelope["signatures"]
        if payload_type != f"application/vnd.twisted-bazaar.{kind}+json":
            raise Forged(f"it is a {payload_type}")
        VerifyKey(bytes.fromhex(signature["keyid"])).verify(
            signed_bytes(payload_type, payload), base64.b64decode(signature["sig"], validate=True)
        )
        statement = json.loads(payload, object_pairs_hook=each_key_once)
        if statement[signer] != signature["keyid"]:
            raise Forged(f"the {signer} has not signed it")
    except (BadSignatureError, KeyError, TypeError, ValueError) as error:
        raise Forged(repr(error)) from None
    return statement


def signed_bytes(payload_type, payload):
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type.encode(), len(payload), payload)


def digest_of(envelope):
    return hashlib.sha256(base64.b64decode(envelope["payload"])).hexdigest()


def each_key_once(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands in it twice")
    return dict(pairs)


# Links.


class Link:
    """One sealed connection: netstrings with JSON in them."""

    def __init__(self, port, who, identity):
        self.who = who
        self.unread = b""
        self.peer = None
        self.socket = SealedSocket(socket.create_connection((HOST, port), PATIENCE_S), identity)
        self.key = self.socket.other_key

    def fileno(self):
        return self.socket.fileno()

    def say(self, **message):
        payload = json.dumps(message, separators=(",", ":")).encode()
        # Who is gone does not hear it; that it is gone is seen when it is read from.
        with contextlib.suppress(ConnectionError):
            self.write(b"%d:%b," % (len(payload), payload))

    def write(self, frame):
        self.socket.sendall(frame)

    def read(self):
        """The messages that have come; None when the connection has ended."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        self.unread += data
        messages = []
        while (colon := self.unread.find(b":")) > 0 and len(self.unread) > (
            end := colon + 1 + int(self.unread[:colon])
        ):
            assert self.unread[end : end + 1] == b","
            messages.append(json.loads(self.take(end + 1)[colon + 1 : -1]))
        return messages if data else None

    def take(self, size):
        frame, self.unread = self.unread[:size], self.unread[size:]
        return frame


class Buyer:
    """A node that only buys: one link to the tracker, and one to a node to speak through."""

    link = Link

    def __init__(self, tracker_port, book):
        self.book = book
        self.key = self.read_key()
        self.public = bytes(self.key.verify_key).hex()
        self.identity = Identity(bytes(self.key))
        self.id = -1
        self.waiting = []  # messages that have come and were not looked at yet
        self.tried = []  # nodes that were dialled, whether they had a slot or not
        self.node = None
        self.tracker = self.link(tracker_port, "tracker", self.identity)
        self.greet(self.tracker)
        while self.id == -1:
            _, message = self.hear(PATIENCE_S)
            if message["type"] == "thisisyou":
                self.id = message["id"]
        while self.node is None:
            self.look_for_node()

    def leave(self):
        for link in (self.node, self.tracker):
            link.say(type="dc")
            link.socket.close()

    # The book: what is in it is on the disk before anything of it is sent.

    def read_key(self):
        file = self.book / "key"
        if not file.exists():
            write_file(file, secrets.token_bytes(32).hex())
        return SigningKey(bytes.fromhex(file.read_text()))

    def write_order(self, order):
        write_file(self.book / f"{order['id']}.json", json.dumps(order, indent=1))

    def orders(self):
        return [json.loads(file.read_text()) for file in sorted(self.book.glob("*.json"))]

    # A node to speak through.

    def greet(self, link):
        link.say(type="thisisme", id=self.id, port=0, key=self.public)

    def look_for_node(self):
        """Ask the tracker for a node, and dial it; it may have no slot, or be gone."""
        self.tracker.say(type="nodereq", have=self.tried)
        message = {"type": ""}
        while message["type"] != "nodereply":
            _, message = self.hear(PATIENCE_S)
        if "id" not in message:
            time.sleep(ASK_AGAIN_S)
            return
        self.tried.append(message["id"])
        try:
            link = self.link(message["port"], "node", self.identity)
        except OSError:
            return
        self.node = link
        self.greet(link)
        while self.node is link and link.peer is None:
            _, message = self.hear(PATIENCE_S)
            if message["type"] == "thisisme":
                if message["key"] != link.key:
                    raise Forged("it greets under a key that it has not proven")
                link.peer = message["id"]
            elif message["type"] == "error" and message["code"] != "notim":
                self.node = None

    def hear(self, timeout_s):
        """The next message, and the link that it came over. Nobody who answers is heard after that time."""
        deadline = time.monotonic() + timeout_s
        while not self.waiting:
            links = [link for link in (self.tracker, self.node) if link is not None]
            # What was opened and not read is known to nobody else.
            readable = [link for link in links if link.socket.has_unread]
            if not readable:
                readable, _, _ = select.select(links, [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return None, {"type": "nothing"}
            for link in readable:
                messages = link.read()
                if messages is None and link is self.tracker:
                    raise SystemExit("the tracker is gone")
                if messages is None:
                    self.node = None
                    self.waiting.append((link, {"type": "gone"}))
                for message in messages or ():
                    if message["type"] == "ping":
                        link.say(type="pong")
                    elif message["type"] == "error" and message["code"] == "notim":
                        self.greet(link)
                    else:
                        self.waiting.append((link, message))
        return self.waiting.pop(0)

    # Searching.

    def search(self, item, quantity, reach, seller=None):
        """One round; each has an id of its own, or the nodes that had the last one would drop it."""
        search_id = secrets.randbelow(LARGEST_INTEGER)
        about = {} if seller is None else {"seller": seller}
        self.node.say(
            type="search",
            id=search_id,
            returnPath=[self.id],
            ttl=reach,
            item=item,
            quantity=quantity,
            **about,
        )
        return search_id

    def find(self, item, quantity):
        """The cheapest offer of so many, of equals the nearest: the way to its seller, the quote, and what it says."""
        offers = []
        while not offers:
            searches = set()
            for reach, wait_s in REACHES:
                if self.node is None:
                    self.look_for_node()
                    break
                searches.add(self.search(item, quantity, reach))
                deadline = time.monotonic() + wait_s
                while (left_s := deadline - time.monotonic()) > 0:
                    link, message = self.hear(left_s)
                    if message["type"] != "reply" or message["id"] not in searches:
                        continue
                    try:
                        terms = self.read_quote(message, item, quantity)
                    except Forged:
                        continue
                    if not offers:
                        deadline = time.monotonic() + GATHER_S
                    offers.append((self.way_back(link, message), message["quote"], terms))
                if offers:
                    break
        return min(offers, key=lambda offer: (offer[2].get("price") or 0, len(offer[0])))

    def read_quote(self, reply, item, quantity):
        """The quote in a reply: it must be signed by the seller that it names, for this bazaar, and say the same."""
        quote = open_envelope(reply.get("quote"), "quote", "seller")
        said = (reply["item"], reply.get("quantity", 1), reply.get("price"))
        if quote["bazaar"] != BAZAAR or said != (quote["item"], quote["quantity"], quote.get("price")):
            raise Forged("it says something else than the reply")
        if quote["item"] != item or quote["quantity"] < quantity:
            raise Forged("it is not what is wanted")
        return quote

    def way_back(self, link, message):
        """Without a path it comes from the neighbour, else from the first on the path."""
        return (message.get("path") or [link.peer, self.id])[::-1]

    # Ordering.

    def write_purchase(self, item, quantity):
        """Find a seller, and write the order down; nothing of it is sent yet."""
        way, quote, terms = self.find(item, quantity)
        order_id = secrets.token_hex(16)
        about = {"bazaar": BAZAAR, "buyer": self.public, "id": order_id}
        purchase = {**about, "item": item, "quantity": quantity, "quote": quote}
        order = {
            "id": order_id,
            "seller": terms["seller"],
            "item": item,
            "quantity": quantity,
            "purchase": seal(self.key, "purchase", purchase),
            "withdrawal": None,
            "answer": None,
        }
        self.write_order(order)
        return order, way

    def take_back(self, order):
        """Write down that an order is not to be; nothing of it is sent yet."""
        quote = open_envelope(order["purchase"], "purchase", "buyer")["quote"]
        withdrawal = {"bazaar": BAZAAR, "buyer": self.public, "id": order["id"], "quote": quote}
        order["withdrawal"] = seal(self.key, "withdrawal", withdrawal)
        self.write_order(order)

    def ask(self, order, way, type):
        """Send an order until its seller has answered: no answer is not a no. Returns the answer and its message."""
        statement = order["withdrawal" if type == "cancel" else "purchase"]
        handle = int(order["id"][:13], 16)
        wait_s, tries, searches = FIRST_REPEAT_S, 0, set()
        while True:
            if self.node is None:
                self.look_for_node()
            if self.node is not None and way is not None and way[1] == self.node.peer:
                path = {"path": way} if len(way) > 2 else {}
                self.node.say(type=type, id=handle, order=statement, **path)
            tries += 1
            if self.node is not None and (way is None or tries >= TRIES_BEFORE_SEARCH):
                reach = REACHES[min(tries, len(REACHES)) - 1][0]
                searches.add(self.search(order["item"], order["quantity"], reach, order["seller"]))
            deadline = time.monotonic() + wait_s
            while (left_s := deadline - time.monotonic()) > 0:
                link, message = self.hear(left_s)
                if message["type"] in ("buyOK", "buyNO") and message["id"] == handle:
                    with contextlib.suppress(Forged):
                        return self.read_answer(order, message["answer"]), message
                elif message["type"] == "reply" and message["id"] in searches:
                    way = self.way_back(link, message)
                    break
                elif message["type"] == "gone" or self.is_detour(message, handle):
                    way = None
                    break
            wait_s = min(2 * wait_s, LONGEST_REPEAT_S)

    def is_detour(self, message, handle):
        """Whether an order has to go another way. No error says how it ends, since nobody has signed it."""
        named = message["type"] == "error" and message.get("id") == handle
        return named and message["code"] in ("noroute", "wrongway")

    def read_answer(self, order, envelope):
        """An answer counts if the seller has signed it and it is about this very order, whoever has brought it."""
        answer = open_envelope(envelope, "answer", "seller")
        named = {"seller": order["seller"], "buyer": self.public, "bazaar": BAZAAR, "order": order["id"]}
        if any(answer[key] != value for key, value in named.items()) or answer["outcome"] not in OUTCOMES:
            raise Forged("it is about another order")
        asked = answer["digest"] == digest_of(order["purchase"])
        taken_back = order["withdrawal"] is not None and answer["digest"] == digest_of(order["withdrawal"])
        if not asked and not (taken_back and answer["outcome"] != "sold"):
            raise Forged("it is about an order with other words")
        return answer

    def end(self, order, answer):
        """Write an answer down, and only then believe it."""
        order["answer"] = answer
        self.write_order(order)

    # What can be asked for on the command line.

    def buy(self, item, quantity):
        order, way = self.write_purchase(item, quantity)
        answer, message = self.ask(order, way, "buy")
        self.end(order, message["answer"])
        return {"type": message["type"], "way": way, "terms": self.terms_of(order), "answer": answer}

    def cancel(self, item, quantity):
        """The withdrawal comes first, and the order that it is about after it: both get the same answer."""
        order, way = self.write_purchase(item, quantity)
        self.take_back(order)
        answer, message = self.ask(order, way, "cancel")
        self.end(order, message["answer"])
        _, late = self.ask(order, way, "buy")
        return {"type": message["type"], "way": way, "is_same": late == message, "answer": answer}

    def again(self):
        """Ask once more about every order, whether it was answered or not; its seller has to be found first."""
        told = []
        for order in self.orders():
            answer, message = self.ask(order, None, "buy" if order["withdrawal"] is None else "cancel")
            is_same = order["answer"] == message["answer"]
            self.end(order, message["answer"])
            told.append({"type": message["type"], "is_same": is_same, "answer": answer})
        return told

    def terms_of(self, order):
        return open_envelope(open_envelope(order["purchase"], "purchase", "buyer")["quote"], "quote", "seller")


def write_file(file, text):
    """Write a whole file, and see that it is on the disk: it is there afterwards, or as it was before."""
    new = file.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


if __name__ == "__main__":
    tracker_port, book, command, *goods = sys.argv[1:]
    buyer = Buyer(int(tracker_port), Path(book))
    arguments = (goods[0], int(goods[1])) if goods else ()
    told = getattr(buyer, command)(*arguments)
    sys.stdout.write(json.dumps({"id": buyer.id, "key": buyer.public, "tried": buyer.tried, "told": told}) + "\n")
    buyer.leave()
