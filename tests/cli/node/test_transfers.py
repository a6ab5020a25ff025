"""Downloads in words: amounts, how far they are, and what happened to sources."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.cli.node.transfers import Lines, format_event, format_receipt, format_status, json_of_receipt
from twisted_bazaar.cli.terminal.amounts import format_count, format_rate, format_size, format_time
from twisted_bazaar.files.download.progress import DownloadStatus, Receipt, SourceStatus
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource, FoundFile

MIB = 1 << 20
ONE = FileSource(1, "ab" * 32, Address("10.0.0.1", 9001))
TWO = FileSource(2, "cd" * 32, Address("2001:db8::1", 9002))
FOUND = FoundFile("a", 4 * MIB, "0" * 64, 2)


def status(*states: str, held: int = MIB, rate: float = 0.0, size: int | None = 4 * MIB) -> DownloadStatus:
    """A download with sources in these states."""
    left = (size - held) / rate if size is not None and rate else None
    return DownloadStatus(size, held, rate, left, [SourceStatus(ONE, state, 0, 0.0) for state in states])


class AmountsTests(SynchronousTestCase):
    """Numbers as people read them."""

    def test_sizes(self) -> None:
        """Sizes have three figures, and units of 1,024."""
        sizes = {
            0: "0 bytes",
            1: "1 byte",
            999: "999 bytes",
            1000: "0.98 KiB",
            1 << 20: "1.00 MiB",
            123 << 20: "123 MiB",
        }
        self.assertEqual({size: format_size(size) for size in sizes}, sizes)
        self.assertEqual((format_size(34.56 * 2**30), format_size(2**70)), ("34.6 GiB", "1024 EiB"))
        self.assertEqual(format_rate(2048), "2.00 KiB/s")

    def test_times(self) -> None:
        """Times are told roughly."""
        times = {0.04: "0.0 s", 9.94: "9.9 s", 59.4: "59 s", 61.0: "1 min 01 s", 7260.0: "2 h 01 min", 1e6: "11 days"}
        self.assertEqual({seconds: format_time(seconds) for seconds in times}, times)

    def test_counts(self) -> None:
        """One is one, and others are several."""
        self.assertEqual((format_count(1, "file"), format_count(1234, "file")), ("1 file", "1,234 files"))


class StatusTests(SynchronousTestCase):
    """How far a download is."""

    def test_states(self) -> None:
        """It is said what it waits for, and for how long if that is known."""
        for told, expected in (
            (status(size=None, held=0), "looking for sources"),
            (status("connecting", "dropped"), "25% of 4.00 MiB, asking 1 source"),
            (status("dropped"), "25% of 4.00 MiB, nobody has it now; asking again until somebody has"),
            (
                evolve(status("dropped"), gives_up_in_s=47.2),
                "25% of 4.00 MiB, nobody has it now; asking again for 47 s",
            ),
            (status("waiting"), "25% of 4.00 MiB, waiting for a turn at 1 source"),
            (status("serving"), "25% of 4.00 MiB, 1 source"),
            (status("serving", "serving", rate=MIB), "25% of 4.00 MiB, 1.00 MiB/s, 2 sources, 3.0 s left"),
            (status("idle", held=4 * MIB), "100% of 4.00 MiB, seeing that it is right"),
            (status(size=0, held=0), "100% of 0 bytes, seeing that it is right"),
        ):
            self.assertEqual(format_status(told), expected)

    def test_alone(self) -> None:
        """Where there is no terminal, that nobody has it is said once, and again when somebody had it meanwhile."""
        lines: list[str] = []
        display = Lines(lines.append)
        alone = evolve(status("dropped", "dropped"), gives_up_in_s=60.0)
        for told in (status(), status("serving"), alone, alone, status("dropped", "asked"), alone):
            display.show(told)
        self.assertEqual(lines, ["nobody has it now; asking again for 1 min 00 s"] * 2)

    def test_events(self) -> None:
        """Who is given up, and who has lied, is told with why; the rest is not."""
        about = {"node": 7, "host": "10.0.0.7", "port": 9001}
        self.assertEqual(
            format_event("dropped", {**about, "why": "gone"}), "node 7 at 10.0.0.7:9001 is asked no more: gone"
        )
        self.assertEqual(format_event("lied", {**about, "lie": "no"}), "node 7 at 10.0.0.7:9001 has lied: no")
        self.assertIsNone(format_event("found", about))


class ReceiptTests(SynchronousTestCase):
    """What came from whom."""

    RECEIPT = Receipt("0" * 64, 4 * MIB, {ONE: MIB, TWO: 2 * MIB}, {ONE: "gone"}, MIB, 3.0)

    def test_lines(self) -> None:
        """Who has sent most stands first; what was there before is told, and who has sent nothing."""
        self.assertEqual(
            list(format_receipt(FOUND, self.RECEIPT)),
            [
                "a: 4.00 MiB in 3.0 s, 1.00 MiB/s, verified; 1.00 MiB were there before",
                "  2.00 MiB from node 2 at [2001:db8::1]:9002, key cdcdcdcd",
                "  1.00 MiB from node 1 at 10.0.0.1:9001, key abababab",
            ],
        )
        nothing = Receipt("0" * 64, 4 * MIB, {TWO: 4 * MIB}, {ONE: "gone"}, 0, 3.0)
        self.assertEqual(
            list(format_receipt(FOUND, nothing))[-1], "  nothing from node 1 at 10.0.0.1:9001, key abababab: gone"
        )

    def test_protocols(self) -> None:
        """What came by UDP is told, with the port it came from; what came by TCP, where that was not wished for."""
        three = evolve(TWO, id=3, udp=9103)
        by_source = {three: 3 * MIB, TWO: 2 * MIB, ONE: MIB}
        ways = {three: {"udp": 3 * MIB}, TWO: {"udp": MIB, "tcp": MIB}, ONE: {"tcp": MIB}}
        receipt = evolve(self.RECEIPT, by_source=by_source, protocols=ways)
        lines = [
            "  3.00 MiB from node 3 at [2001:db8::1]:9103 by UDP, key cdcdcdcd",
            "  2.00 MiB from node 2 at [2001:db8::1]:9002 by TCP and UDP, key cdcdcdcd",
            "  1.00 MiB from node 1 at 10.0.0.1:9001, key abababab",
        ]
        self.assertEqual(list(format_receipt(FOUND, receipt))[1:], lines)
        lines[2] = "  1.00 MiB from node 1 at 10.0.0.1:9001 by TCP, key abababab"
        self.assertEqual(list(format_receipt(FOUND, receipt, tells_tcp=True))[1:], lines)
        told = json_of_receipt(FOUND, receipt, "a")["sources"]
        self.assertEqual([each["protocols"] for each in told], [["udp"], ["tcp", "udp"], ["tcp"]])
        self.assertEqual(told[1]["by_protocol"], {"udp": MIB, "tcp": MIB})
        self.assertEqual(receipt.by_protocol, {"tcp": 2 * MIB, "udp": 4 * MIB})

    def test_json(self) -> None:
        """Programs get the same."""
        told = json_of_receipt(FOUND, self.RECEIPT, "/tmp/a")
        self.assertEqual((told["name"], told["path"], told["resumed"]), ("a", "/tmp/a", MIB))
        self.assertEqual(
            [(each["id"], each["bytes"], each["dropped"]) for each in told["sources"]],
            [(1, MIB, "gone"), (2, 2 * MIB, None)],
        )
