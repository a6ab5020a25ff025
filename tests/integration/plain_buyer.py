"""A buyer written from the specification alone: a netstring parser, a JSON parser, and nothing of this package.

    python plain_buyer.py TRACKER_PORT ITEM QUANTITY

It joins through the tracker, links to a node that the tracker names, searches, orders from the cheapest
seller, and repeats the order until there is an answer. Then it prints one line of JSON about what it bought
and how, and leaves. It takes no connections.
"""

import json
import random
import sys

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.basic import NetstringReceiver

HOST = "127.0.0.1"
LARGEST_INTEGER = 2**53
REACHES = ((2, 1.0), (4, 2.0), (7, 4.0))  # the ttl of each round of a search, and seconds to wait after it
GATHER_S = 0.3
FIRST_REPEAT_S, LONGEST_REPEAT_S = 1.0, 30.0
ASK_AGAIN_S = 0.1


class Link(NetstringReceiver):
    """One connection: the greeting, pings and goodbyes, which are the same on all."""

    MAX_LENGTH = 65536

    def __init__(self, buyer):
        self.buyer = buyer

    def connectionMade(self):
        self.say(type="thisisme", id=self.buyer.id, port=0, key=self.buyer.key)

    def stringReceived(self, payload):
        message = json.loads(payload)
        if message["type"] == "ping":
            self.say(type="pong")
        elif message["type"] == "dc":
            self.transport.loseConnection()
        elif message["type"] == "error" and message["code"] == "notim":
            self.say(type="thisisme", id=self.buyer.id, port=0, key=self.buyer.key)
        else:
            self.heard(message)

    def say(self, **message):
        self.sendString(json.dumps(message).encode())

    def leave(self):
        self.say(type="dc")
        self.transport.loseConnection()


class TrackerLink(Link):
    """The connection to the tracker, which gives an id and names nodes."""

    def heard(self, message):
        if message["type"] == "thisisyou":
            self.buyer.id = message["id"]
            self.buyer.tracker = self
            self.buyer.look_for_node()
        elif message["type"] == "nodereply" and "id" in message:
            self.buyer.dial(message["id"], message["host"], message["port"])
        elif message["type"] == "nodereply":
            reactor.callLater(ASK_AGAIN_S, self.buyer.look_for_node)

    def connectionLost(self, reason):
        self.buyer.left(self)


class NodeLink(Link):
    """The connection to a node."""

    peer = None

    def heard(self, message):
        if message["type"] == "thisisme":
            self.peer = message["id"]
            self.buyer.linked(self)
        elif message["type"] in ("reply", "buyOK", "error") and self.peer is not None:
            # Without a path it comes from the neighbour, else from the first on the path.
            path = message.get("path") or [self.peer, self.buyer.id]
            self.buyer.answered(message, path[0], path[::-1])
        # Somebody who only buys passes nothing on and has nothing to say to the searches of others.

    def connectionLost(self, reason):
        self.buyer.left(self)


class Buyer:
    """Buys one thing."""

    def __init__(self, item, quantity):
        self.item, self.quantity = item, quantity
        self.id = -1
        self.key = f"{random.SystemRandom().getrandbits(256):064x}"
        self.tracker = self.node = None
        self.tried = []  # nodes that were dialled, whether they had a slot or not
        self.searches = set()
        self.offers = {}  # by seller: price, way
        self.order = self.seller = self.way = None
        self.search_timer = self.order_timer = None
        self.done = False

    def connect(self, host, port, kind):
        return TCP4ClientEndpoint(reactor, host, port).connect(Factory.forProtocol(lambda: kind(self)))

    # A node to speak through.

    def look_for_node(self):
        self.tracker.say(type="nodereq", have=self.tried)

    def dial(self, node, host, port):
        self.tried.append(node)
        self.connect(host, port, NodeLink).addErrback(lambda failure: self.look_for_node())

    def linked(self, link):
        self.node = link
        self.search(0)

    def left(self, link):
        """A connection is gone; one that said `noslots` ends here too."""
        if link is self.tracker:
            self.tracker = None
        elif link is self.node:
            self.node = None
            cancel(self.search_timer)
        if not self.done and isinstance(link, NodeLink) and self.tracker is not None:
            self.look_for_node()
        if self.done and self.node is self.tracker is None:
            reactor.stop()

    # Searching.

    def search(self, number):
        """One round; each has an id of its own, or the nodes that had the last one would drop it."""
        reach, wait_s = REACHES[number % len(REACHES)]
        search_id = random.randrange(LARGEST_INTEGER)
        self.searches.add(search_id)
        self.search_timer = reactor.callLater(wait_s, self.search, number + 1)
        self.node.say(
            type="search",
            id=search_id,
            returnPath=[self.id],
            ttl=reach,
            item=self.item,
            quantity=self.quantity,
        )

    def answered(self, message, sender, way):
        """A reply to a search, or an answer to the order."""
        if message["type"] == "reply":
            if message["id"] not in self.searches or message.get("quantity", 1) < self.quantity:
                return
            if self.order is None and not self.offers:
                cancel(self.search_timer)
                self.search_timer = reactor.callLater(GATHER_S, self.choose)
            if sender == self.seller:
                self.way = way
            self.offers[sender] = (message.get("price"), way)
        elif self.order is not None and sender == self.seller and message.get("id") == self.order["id"]:
            if message["type"] == "buyOK":
                self.bought()
            elif message["code"] in ("soldout", "wtf"):
                self.refused()

    # Buying.

    def choose(self):
        """Take the cheapest offer, of equals the nearest."""
        self.seller = min(self.offers, key=lambda seller: (self.offers[seller][0] or 0, len(self.offers[seller][1])))
        price, self.way = self.offers.pop(self.seller)
        self.order = {"id": random.randrange(LARGEST_INTEGER), "item": self.item, "quantity": self.quantity}
        if price is not None:
            self.order["price"] = price
        self.send_order(FIRST_REPEAT_S)

    def send_order(self, wait_s):
        """Order, and again with the same id until there is an answer: no answer is not a no."""
        if self.node is not None and self.way[1] == self.node.peer:
            self.node.say(type="buy", **self.order, **({"path": self.way} if len(self.way) > 2 else {}))
        self.order_timer = reactor.callLater(wait_s, self.send_order, min(2 * wait_s, LONGEST_REPEAT_S))

    def refused(self):
        cancel(self.order_timer)
        self.order = self.seller = None
        if self.offers:
            self.choose()
        else:
            self.search(0)

    def bought(self):
        cancel(self.order_timer)
        cancel(self.search_timer)
        told = {"buyer": self.id, "seller": self.seller, "way": self.way, "tried": self.tried, **self.order}
        sys.stdout.write(json.dumps(told) + "\n")
        self.done = True
        self.node.leave()
        self.tracker.leave()


def cancel(timer):
    if timer is not None and timer.active():
        timer.cancel()


if __name__ == "__main__":
    buyer = Buyer(sys.argv[2], int(sys.argv[3]))
    buyer.connect(HOST, int(sys.argv[1]), TrackerLink)
    reactor.run()
