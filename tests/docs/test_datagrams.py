"""The page on datagrams says the numbers that the code has, and its dialogue keeps its rules."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.pages import SPECIFICATION, datagrams, flat, section
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node import cookies, datagram, knocking
from twisted_bazaar.node.limits import Limits

PAGE = SPECIFICATION["datagrams.md"]
ADDRESSES = {"ada": ("10.0.0.1", 9001), "bob": ("10.0.0.2", 9001), "client": ("10.9.0.1", 7000)}


class DatagramsTests(SynchronousTestCase):
    """What the page says besides the tables of its messages."""

    def test_numbers(self) -> None:
        """The limits and times in the sentences are those of the code."""
        limits = Limits()
        told = {
            "One message in each": (f"With its cookie it is at most {limits.datagram_bytes} bytes",),
            "Cookies": (
                f"{cookies.COOKIE_DIGITS} characters, each of `0-9a-f`",
                f"the time in seconds divided by {limits.cookie_s:g}, rounded down",
                f"for {limits.cookie_s:g} s at least and {2 * limits.cookie_s:g} s at most",
            ),
            "To send": (
                f"after {knocking._FIRST_AGAIN_S:g} s, then after pauses twice as long each time",
                f"After {knocking._WAIT_S:g} s what waits is dropped",
                f"To one address {knocking._MOST_WAITING} messages wait at most",
                f"before {datagram._RENEWED_AT * limits.cookie_s:g} s are over",
                f"a cookie of more than {datagram._TRUSTED_UNTIL * limits.cookie_s:g} s is not used",
            ),
            "To receive": (
                f"longer than {limits.datagram_bytes} bytes",
                f"One host gets {limits.strangers_a_second:g} such answers a second",
                f"at most {limits.datagrams_a_second:g} messages are taken in a second",
            ),
            "Limits": (
                f"something of {limits.correspondents} addresses at most, {limits.correspondents // 8} of one host",
                f"for the cookies of {knocking._MOST_KNOCKED_AT} addresses at most",
            ),
        }
        for title, sentences in told.items():
            text = flat(section(PAGE, title))
            self.assertEqual([sentence for sentence in sentences if sentence not in text], [], title)

    def test_dialogue(self) -> None:
        """Each knock is answered by its nonce and with no more bytes, and each message shows what was given last."""
        given: dict[tuple[str, str], str] = {}
        asked: dict[tuple[str, str], tuple[str, int]] = {}
        for speaker, hearer, data in datagrams(PAGE):
            message = json.loads(data)
            if message["type"] == "knock":
                asked[hearer, speaker] = message["nonce"], len(data)
            elif message["type"] == "cookie":
                nonce, size_bytes = asked[speaker, hearer]
                self.assertEqual((message["nonce"], len(data) <= size_bytes), (nonce, True))
                given[hearer, speaker] = message["give"]
            elif message["type"] == "stale":
                self.assertEqual(message.get("was"), given.pop((hearer, speaker), None))
            else:
                self.assertEqual(message.get("cookie"), given.get((speaker, hearer)), data)
        self.assertEqual(len(given), 3)

    def test_cookies(self) -> None:
        """The cookies of the dialogue are those that the nodes of three keys give there in the first slot."""
        keys = {"ada": [1], "bob": [2, 3]}
        for speaker, hearer, data in datagrams(PAGE):
            right = [
                cookies.Cookies(KeyPair.from_seed(bytes([seed] * 32)).secret_for(datagram.COOKIES), Limits().cookie_s)
                .right(*ADDRESSES[hearer], 0.0)[0]
                .decode()
                for seed in keys.get(speaker, [])
            ]
            message = json.loads(data)
            if message["type"] == "cookie":
                self.assertIn(message["give"], right)
