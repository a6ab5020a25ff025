"""The page on datagrams says the numbers that the code has, and its dialogue keeps its rules."""

from __future__ import annotations

import json

from tests.docs.pages import SPECIFICATION, PageTests, datagrams, section, table_with, word, words
from tests.docs.test_specification import own_messages
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.datagrams import address_validation, cookies, protocol, unvalidated, validated_addresses
from twisted_bazaar.node.limits import Limits

PAGE = SPECIFICATION["datagrams.md"]
ADDRESSES = {
    "ada": ("10.0.0.1", 9001),
    "bob": ("10.0.0.2", 9001),
    "carol": ("10.0.0.3", 9001),
    "client": ("10.9.0.1", 7000),
    "visitor": ("10.9.0.2", 7000),
}


class DatagramsTests(PageTests):
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
                f"after {address_validation._FIRST_AGAIN_S:g} s, then after pauses twice as long each time",
                f"After {address_validation._WAIT_S:g} s what waits is dropped",
                f"To one address {address_validation._MOST_WAITING} messages wait at most",
                f"before {validated_addresses._RENEWED_AT * limits.cookie_s:g} s are over",
                f"a cookie of more than {validated_addresses._TRUSTED_UNTIL * limits.cookie_s:g} s is not used",
            ),
            "Questions of strangers": (
                f"makes it {validated_addresses._QUESTION_BYTES} bytes, or as many as go into a datagram",
                f"If nothing comes within {address_validation._FIRST_AGAIN_S:g} s",
                f"answers {unvalidated._QUESTIONS_A_SECOND} of them in a second",
            ),
            "To receive": (
                f"longer than {limits.datagram_bytes} bytes",
                f"One host gets {limits.strangers_a_second:g} such answers a second",
                f"at most {limits.datagrams_a_second:g} messages are taken in a second",
            ),
            "Limits": (
                f"something of {limits.correspondents} addresses at most, {limits.correspondents // 8} of one host",
                f"for the cookies of {address_validation._MOST_KNOCKED_AT} addresses at most",
            ),
        }
        for title, sentences in told.items():
            self.assert_says(section(PAGE, title), *sentences)

    def test_envelope(self) -> None:
        """The keys that a datagram has beside its message are those of the code."""
        text = section(PAGE, "One message in each")
        told = {word(row["Key"]) for row in table_with(text, "Key", "Type")}
        self.assert_lists(text, told, cookies.ENVELOPE_KEYS)

    def test_questions(self) -> None:
        """The page names the messages that are plain questions."""
        text = section(PAGE, "Questions of strangers")
        true = {name for name, cls in own_messages().items() if cls.is_question}
        self.assertNotEqual(true, set())
        self.assert_lists(text, {each for each in words(text) if each.startswith("ring")}, true)

    def test_dialogue(self) -> None:
        """Nothing is longer than what a stranger sent for it, and each message shows what was given last."""
        given: dict[tuple[str, str], str] = {}
        asked: dict[tuple[str, str], tuple[str, int]] = {}
        questions: dict[tuple[str, str], tuple[str, int]] = {}
        for speaker, hearer, data in datagrams(PAGE):
            message = json.loads(data)
            cookie, give = message.get("cookie"), message.get("give")
            answered = questions.pop((hearer, speaker), None)
            if message["type"] == "knock":
                asked[hearer, speaker] = message["nonce"], len(data)
            elif message["type"] == "cookie":
                nonce, size_bytes = asked[speaker, hearer]
                self.assertEqual((message["nonce"], len(data) <= size_bytes), (nonce, True))
                given[hearer, speaker] = give
            elif answered is not None and cookie is not None:
                self.assertEqual((cookie, len(data) <= answered[1]), (answered[0], True), data)
                given[hearer, speaker] = give
            elif message["type"] == "stale":
                self.assertEqual(message.get("was"), given.pop((hearer, speaker), None))
            elif cookie is None and give is not None:
                questions[speaker, hearer] = give, len(data)
            else:
                self.assertEqual(cookie, given.get((speaker, hearer)), data)
                if give is not None:
                    given[hearer, speaker] = give
        self.assertEqual(len(given), 7)

    def test_cookies(self) -> None:
        """The cookies of the dialogue are those that the nodes of four keys give there in the first slot."""
        keys = {"ada": [1], "bob": [2, 3], "carol": [4]}
        for speaker, hearer, data in datagrams(PAGE):
            right = [
                cookies.Cookies(KeyPair.from_seed(bytes([seed] * 32)).secret_for(protocol.COOKIES), Limits().cookie_s)
                .valid_cookies(*ADDRESSES[hearer], 0.0)[0]
                .decode()
                for seed in keys.get(speaker, [])
            ]
            message = json.loads(data)
            if "give" in message and speaker in keys:
                self.assertIn(message["give"], right)
