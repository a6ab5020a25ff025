"""Limits of the messages between peers and their index server."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.index.messages import (
    MOST_IN_UPDATE,
    MOST_ON_PAGE,
    AddFile,
    FindFiles,
    FindSellers,
    FoundFiles,
    FoundSellers,
    FoundSources,
    RemoveFile,
    Renew,
    Update,
)
from twisted_bazaar.errors import MalformedMessage
from twisted_bazaar.wire.codec import Codec

CODEC = Codec([AddFile, RemoveFile, Update, Renew, FindFiles, FoundFiles, FoundSources, FindSellers, FoundSellers])
DIGEST = "ab" * 32
KEY = "cd" * 32
BAD_NAMES = ("", ".", "..", "a/b", "a\\b", "/etc/passwd", "x" * 10_000, "\u202egpj.exe", "e\u0301", "a\nb", "a\u200bb")


def read(type: str, **keys: Any) -> Any:
    """The message that arrives when somebody sends this."""
    return CODEC.decode(msgspec.json.encode({"type": type, **keys}))


class MessageTests(SynchronousTestCase):
    """Messages from strangers."""

    def assert_malformed(self, type: str, **keys: Any) -> None:
        """A message is refused."""
        self.assertRaises(MalformedMessage, read, type, **keys)

    def test_names(self) -> None:
        """No name is listed, or told, that could lead out of a folder or deceive whoever reads it."""
        for name in BAD_NAMES:
            file = {"name": name, "size": 1, "digest": DIGEST}
            self.assert_malformed("addfile", id=1, **file)
            self.assert_malformed("update", id=1, base=0, mark=1, add=[file])
            self.assert_malformed("foundfiles", id=1, files=[file])

    def test_names_of_files_to_forget(self) -> None:
        """A name that cannot be listed may be struck off or sought; there is nothing under it."""
        self.assertEqual(read("removefile", id=1, name="..").name, "..")
        self.assertEqual(read("findfiles", id=1, name="a/b").name, "a/b")
        self.assert_malformed("removefile", id=1, name="x" * 256)

    def test_sizes_and_digests(self) -> None:
        """Sizes are whole numbers from 0 to 2^53, digests 64 small hexadecimal digits."""
        good = {"id": 1, "name": "a", "size": 0, "digest": DIGEST}
        self.assertEqual(read("addfile", **good).size, 0)
        for wrong in ({"size": -1}, {"size": 2**53 + 1}, {"size": 1.5}, {"size": "1"}, {"digest": DIGEST.upper()}):
            self.assert_malformed("addfile", **good | wrong)
        for digest in ("ab" * 31, "ab" * 33, "xy" * 32, DIGEST[:-1] + "\n"):
            self.assert_malformed("addfile", **good | {"digest": digest})

    def test_lists(self) -> None:
        """A list in a message has at most so many items."""
        names = [f"{number}" for number in range(MOST_IN_UPDATE + 1)]
        for key in ("remove", "offer", "withdraw"):
            self.assert_malformed("update", id=1, base=0, mark=1, **{key: names})
            self.assertEqual(len(getattr(read("update", id=1, base=0, mark=1, **{key: names[1:]}), key)), 1000)
        self.assert_malformed("findfiles", id=1, most=MOST_ON_PAGE + 1)
        self.assert_malformed("findfiles", id=1, most=0)

    def test_marks(self) -> None:
        """No list is called 0, which stands for none; a list can build on none."""
        self.assert_malformed("update", id=1, base=0, mark=0)
        self.assert_malformed("update", id=1, base=-1, mark=1)
        self.assertEqual(read("update", id=1, base=0, mark=1).base, 0)

    def test_goods(self) -> None:
        """Goods are named as everywhere."""
        self.assert_malformed("update", id=1, base=0, mark=1, offer=["\u202eapple"])
        self.assert_malformed("update", id=1, base=0, mark=1, offer=["x" * 129])

    def test_hosts(self) -> None:
        """Whoever is named has an IP address: no name that would have to be looked up."""
        peer = {"id": 1, "key": KEY, "port": 1}
        for host in ("example.org", "localhost", "10.0.0", "../x"):
            self.assert_malformed("foundsources", id=1, sources=[{**peer, "host": host}])
            self.assert_malformed("foundsellers", id=1, sellers=[{**peer, "host": host}])
        self.assertEqual(read("foundsources", id=1, sources=[{**peer, "host": "::1"}]).sources[0].host, "::1")

    def test_find_sellers(self) -> None:
        """Who looks for sellers says of what, or which."""
        self.assert_malformed("findsellers", id=1)
        self.assertEqual(read("findsellers", id=1, seller=KEY).item, None)
