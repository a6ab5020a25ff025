"""The page of the ring says of records what the code does."""

from __future__ import annotations

import json

from tests.docs.pages import RING, PageTests, datagrams, section, table_with, word
from twisted_bazaar.discovery.findings import MOST_KEPT
from twisted_bazaar.discovery.index.words import MOST_WORDS
from twisted_bazaar.discovery.ring.records.records import (
    MOST_PAGES,
    PROVIDERS,
    SELLERS,
    WORDS,
    provider_key,
    read_provided,
    words_for,
)
from twisted_bazaar.discovery.ring.records.republishing import LIFETIME_S, PUTS_A_SECOND, lifetime_of
from twisted_bazaar.discovery.ring.records.search import MOST_OWNERS
from twisted_bazaar.discovery.ring.rules.identifiers import Ring
from twisted_bazaar.discovery.ring.storage.entry import LONGEST_LIFETIME_S, VALUE_BYTES, read_entry

PAGE = section(RING, "Who has what")


class RecordsPageTests(PageTests):
    """What the page says."""

    def test_spaces(self) -> None:
        """The table has the spaces that there are."""
        rows = table_with(PAGE, "`space`")
        self.assertEqual([word(row["`space`"]) for row in rows], [PROVIDERS, WORDS, SELLERS])

    def test_numbers(self) -> None:
        """Its numbers are those of the code."""
        each_s = lifetime_of(1_000_000 // 10) / 100_000
        self.assert_says(
            PAGE,
            f"a `lifetime`: of {LIFETIME_S:.0f} s, or of {each_s:.1g} s for each such entry of that owner",
            f"up to {LONGEST_LIFETIME_S} s",
            f"no more than {PUTS_A_SECOND:.0f} of one owner",
            f"the first {MOST_WORDS} of a name",
            f"at most {MOST_PAGES}",
            f"as many as fit into {VALUE_BYTES} bytes",
            f"more than {len(words_for('a' * 255)[0])} bytes",
        )
        self.assert_says(
            section(RING, "Limits"),
            f"owners looked up for one question | {MOST_OWNERS}",
            f"files found for one question | {MOST_KEPT}",
        )

    def test_dialogue(self) -> None:
        """In the dialogue records hold, and their owner is looked for at the place of its key."""
        messages = [json.loads(data) for _, _, data in datagrams(RING)]
        texts = [message["text"] for message in messages if message["type"] in ("ringstore", "ringtransfer")]
        entries = [read_entry(text) for text in texts if text.startswith("{") and text.endswith("}")]
        records = [entry.kept for entry in entries if entry.kept.space == PROVIDERS]
        self.assertGreaterEqual(len(records), 2)
        for kept in records:
            self.assertEqual((kept.space, kept.name), provider_key(kept.name))
            self.assertIsNotNone(read_provided(kept.name, kept.value))
            self.assert_says(RING, f"`{kept.value.decode()}`")
            place = Ring().to_wire(Ring().id_of_key(kept.owner))
            self.assertIn(place, [message.get("place") for message in messages])
