"""Bugs of promises 1 to 6: orders, books and who may say what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.planted.bug import Bug, bug

_MARKET: Final = "sim/test_invariants.py::PlantedBugTests::"
_LEDGER: Final = "trade/ledger.py"
_PURCHASE: Final = "trade/purchase.py"
_FORGETFUL: Final = (_LEDGER, "known = dict(book.deals({waiting.order.key for waiting in batch}))", "known = {}")

BUGS: Final[Mapping[int, Sequence[Bug]]] = {
    1: (
        bug(
            "a sale that is not taken off the stock",
            "trade/test_ledger.py",
            (_LEDGER, "book.sell(item, level.sold - before[item].sold)", "pass"),
        ),
        bug(
            "a change that stays when its transaction fails",
            "trade/stores/test_stores.py",
            ("trade/stores/sqlite.py", 'execute("ROLLBACK")', 'execute("COMMIT")'),
        ),
        bug("a book that gives goods away without counting them sold", f"{_MARKET}test_stock"),
        bug("a ledger that does not look at its stock", f"{_MARKET}test_stock_that_is_not_there"),
        bug("units taken out and not counted", f"{_MARKET}test_withdrawn"),
        bug(
            "a book that is written and not synced",
            "sim/test_race.py",
            ("sim/store.py", "disk.sync(self._file)", "pass"),
        ),
        bug(
            "a book that counts a sale and leaves its units in stock",
            "integration/test_race.py",
            (
                "trade/stores/sqlite_books.py",
                "in_stock = in_stock - ?, sold = sold + ?",
                "in_stock = in_stock + 0 * ?, sold = sold + ?",
            ),
        ),
        bug(
            "an order looked up before its item is locked",
            "integration/test_postgres.py",
            (_LEDGER, "    levels = book.levels(sorted({waiting.order.item for waiting in batch}))\n", ""),
            (
                _LEDGER,
                "    closed = book.closed({waiting.order.quote for waiting in batch})\n",
                "    closed = book.closed({waiting.order.quote for waiting in batch})\n"
                "    levels = book.levels(sorted({waiting.order.item for waiting in batch}))\n",
            ),
        ),
    ),
    2: (
        bug("a ledger that forgets what it has answered", "trade/test_exactly_once.py", _FORGETFUL),
        bug(
            "a no that is forgotten while its quote is good",
            "trade/test_ledger.py",
            (
                "trade/stores/memory.py",
                "if order.seller == seller and order.valid_until_ms <= until_ms:",
                "if order.seller == seller:",
            ),
        ),
        bug(
            "a quote that is good again when the clock goes back",
            "trade/test_ledger.py",
            ("trade/order.py", "max(now_ms, closed_until_ms)", "now_ms"),
        ),
        bug("a store that writes and does not sync", f"{_MARKET}test_told_before_it_is_on_disk"),
        bug("one that says it is done, and then does it", f"{_MARKET}test_told_before_it_is_written"),
        bug(
            "an answer that is on its way before it is committed", "integration/test_kill_points.py::test_flaw_is_found"
        ),
        bug(
            "a recount that leaves old quotes good",
            "cli/control/test_stopped.py",
            (_LEDGER, "    book.close_until(seller, max(now_ms, book.closed_until_ms(seller)) + _QUOTES_MS)\n", ""),
        ),
        bug(
            "a recount that leaves on the shelf what was not counted",
            "cli/control/test_stopped.py",
            (_LEDGER, "there = counted.get(item, 0)", "there = counted.get(item, level.in_stock)"),
        ),
        bug(
            "one that takes what is missing for sold",
            "cli/control/test_stopped.py integration/test_restore.py",
            (_LEDGER, "withdrawn=level.withdrawn + fewer)", "sold=level.sold + fewer)"),
        ),
    ),
    3: (
        bug(
            "silence that ends an order",
            "trade/test_order.py",
            (
                "trade/order.py",
                "to(_states[OrderState.UNKNOWN])(_enter(OrderState.UNKNOWN))",
                "to(_states[OrderState.REFUSED])(_enter(OrderState.REFUSED))",
            ),
        ),
        bug(
            "an error that is taken for a no",
            "trade/test_purchase.py",
            (
                _PURCHASE,
                "                self._detour(opened)",
                '                self._end(opened, Outcome.REFUSED, None, message.code, "")',
            ),
        ),
        bug(
            "a buyer that believes whoever signs",
            "trade/test_purchase.py",
            (_PURCHASE, "said = (answer.seller,", "said = (record.seller,"),
        ),
        bug(
            "a buyer that takes its order for cancelled when it has asked for that",
            "trade/test_exactly_once.py",
            (
                _PURCHASE,
                "                record.withdrawal = withdrawal\n",
                "                record.withdrawal = withdrawal\n"
                '                self._end(opened, Outcome.CANCELLED, None, "", "")\n',
            ),
        ),
        bug(
            'a buyer that calls too dear "not found"',
            "roles/test_buyer.py",
            ("roles/buyer.py", "elif any(want.too_dear is not None for want in missing):", "elif False:"),
        ),
        bug("a buyer that takes silence for a no", f"{_MARKET}test_silence_is_no"),
        bug("one that takes an error for a no, whoever says it", f"{_MARKET}test_error_is_no"),
    ),
    4: (
        bug(
            "an order that is on its way before it is in the buyer's book",
            "integration/test_kill_points.py::test_flaw_is_found",
        ),
        bug(
            "a withdrawal that is sent and not kept",
            "trade/test_exactly_once.py",
            (_PURCHASE, "self._put(lambda book: book.put(changed))", "self._put(lambda book: None)"),
        ),
        bug("a buyer that asks once and never again", f"{_MARKET}test_order_given_up"),
        bug("one that begins each run with an empty book", f"{_MARKET}test_orders_lost"),
        bug(
            "a store that never commits",
            "trade/stores/test_stores.py",
            ("trade/stores/sqlite.py", 'execute("COMMIT")', 'execute("ROLLBACK")'),
        ),
        bug("an answer that is not looked up in the book", "integration/test_plain_client.py", _FORGETFUL),
        bug(
            "a daemon that does not heed Ctrl-C while it is being started",
            "integration/test_running.py::test_interrupted_at_once",
            ("taps/leaving.py", "is signal.default_int_handler:", "is None:"),
        ),
    ),
    5: (
        bug(
            "an envelope opened as any kind",
            "trade/test_contract.py",
            ("identity/signed.py", "if self.payload_type != kind.payload_type():", "if False:"),
        ),
        bug(
            "a signer that is not compared",
            "trade/test_contract.py",
            ("identity/signed.py", "if statement.signer != signature.keyid:", "if False:"),
        ),
        bug(
            "a reply whose price is not in its quote",
            "trade/test_contract.py",
            (
                "trade/contract.py",
                "(quote.item, quote.quantity, quote.price) == (offer.item, offer.quantity, offer.price)",
                "(quote.item, quote.quantity) == (offer.item, offer.quantity)",
            ),
        ),
        bug(
            "a key that stands twice in what is taken",
            "wire/test_strict_json.py wire/test_codec.py identity/test_signed.py",
            ("wire/strict_json.py", "if len(found) != len(pairs):", "if False:"),
        ),
        bug(
            "a statement that is looked at no closer than its decoder does",
            "identity/test_signed.py",
            ("identity/signed.py", "                check_strict(self.payload)\n", "                pass\n"),
        ),
        bug(
            "a signature over the statement without its type",
            "docs/test_trade.py",
            (
                "identity/signed.py",
                'return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)',
                "return payload",
            ),
        ),
        bug(
            "a library that takes keys of small order",
            "docs/test_trade.py",
            (
                "identity/keys.py",
                "    except BadSignatureError:\n        return False",
                "    except BadSignatureError:\n        return not any(key[1:31])",
            ),
        ),
        bug(
            "signatures that nobody verifies",
            "trade/test_exactly_once.py",
            ("identity/signed.py", "if not is_signed_by(", "if False and is_signed_by("),
        ),
    ),
    6: (
        bug(
            "a reservation without an end",
            "trade/test_reservations.py",
            ("trade/reservations.py", "if now < end <= now + self._lifetime_s:", "if True:"),
        ),
        bug("a seller that holds back for ever", f"{_MARKET}test_reservation_without_end"),
        bug(
            "what was held for a buyer is kept from the others while its own order is being settled",
            "trade/test_offers.py",
            ("trade/reservations.py", "max(0, many - self._ordered[item, other])", "many"),
        ),
        bug(
            "a buyer that passes over whom it could not ask, as if that had refused",
            "roles/test_buyer.py",
            (
                "roles/buyer.py",
                "if record.answer is not None and record.code != EXPIRED:",
                "if record.code != EXPIRED:",
            ),
        ),
    ),
}
