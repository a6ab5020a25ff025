"""Bugs of promise 10: files that are shared and fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.planted.bug import Bug, bug

_SIM: Final = "sim/test_invariants_files.py::PlantedBugTests::"
_LANDING: Final = "files/download/part_file.py"

BUGS: Final[Mapping[int, Sequence[Bug]]] = {
    10: (
        bug(
            "a chunk that is not checked",
            "files/download/test_liars.py",
            ("files/memory.py", "if not self.manifest.fits(chunk, content):", "if False:"),
        ),
        bug(
            "a liar that is asked again",
            "files/download/test_liars.py",
            ("files/download/source_manager.py", "or origin.key in self._liars\n", "\n"),
        ),
        bug(
            "a made-up size that is believed until all of it is there",
            "files/download/test_liars.py",
            (
                "files/download/manifest_trust.py",
                "        return self._spent.get(head, 0.0) >= turn_s + longer_s\n",
                "        return False\n",
            ),
        ),
        bug(
            "digests that may take for ever",
            "files/download/test_liars.py",
            ("files/download/swarm.py", "        self._belief.check_pace()\n", ""),
        ),
        bug(
            "a stream that sends others again than the first bytes that have not come",
            "files/window/test_stream.py",
            (
                "files/window/sent_segments.py",
                "first = next((sent for sent in self._waiting if not sent.has_come), None)",
                "first = next(iter(self._flight.values()), None)",
            ),
        ),
        bug("a part that keeps wrong chunks", f"{_SIM}test_wrong_chunk"),
        bug("one that does not check the whole", f"{_SIM}test_wrong_whole"),
        bug("a download that forgets whom it has given up", f"{_SIM}test_asked_again"),
        bug("one that waits for ever for one source", f"{_SIM}test_waiting_for_ever"),
        bug("a source that never has a slot again that it has given", f"{_SIM}test_slots_used_up"),
        bug(
            "a journal that is believed without looking",
            "files/download/test_resumable_file.py",
            (
                _LANDING,
                " and manifest.fits(\n                    chunk, content\n                ):",
                ":",
            ),
        ),
        bug(
            "a link that is followed",
            "files/download/test_resumable_file.py",
            ("files/disk.py", "os.O_NOFOLLOW | os.O_CLOEXEC", "os.O_CLOEXEC"),
            (
                _LANDING,
                "return os.stat(name, dir_fd=self._folder, follow_symlinks=False)",
                "return os.stat(name, dir_fd=self._folder)",
            ),
        ),
        bug(
            "a file checked by name and opened by name again",
            "integration/test_part.py",
            (
                _LANDING,
                "                    return file\n",
                "                    os.close(file)\n                    return self._open_hidden(hidden)\n",
            ),
        ),
        bug(
            "a file that is hashed while somebody writes it",
            "integration/test_folder.py",
            (
                "files/sharing/hashing.py",
                "    if signature_of(file) != seen.signature or is_being_written(file):\n        raise StillChanging\n",
                "",
            ),
            ("files/sharing/scan.py", "SETTLING_S: Final = 2.0", "SETTLING_S: Final = 0.0"),
        ),
        bug(
            "a name that is not checked",
            "files/sharing/test_scan.py",
            ("files/sharing/scan.py", "        check_file_name(name)\n", "        pass\n"),
        ),
        bug(
            "a download that forgets what it had when it was killed",
            "integration/test_files.py::test_resumed",
            (_LANDING, "return manifest if digest == self.digest else None", "return None"),
            (_LANDING, "                    held.append(chunk)\n", "                    pass\n"),
        ),
    ),
}
