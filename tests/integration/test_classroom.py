"""C{bazaar classroom} as it is: eight processes, which come, leave and die by words from a pipe."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.daemons import BAZAAR, Daemons
from tests.integration.test_ring_prompt import Peer


class Lesson(Peer):
    """A window of the classroom, and somebody who types."""

    def __init__(self, directory: Path, daemons: Daemons) -> None:
        self._read_end, self._write_end = os.pipe()
        super(Peer, self).__init__((), directory, daemons.environment, (*BAZAAR, "classroom"), self._read_end)
        os.close(self._read_end)


@pytest.mark.slow
def test_lesson(tmp_path: Path) -> None:
    """Eight peers make a ring; a file is stored and requested; one leaves, one dies, one joins: the table shows it."""
    with Daemons(tmp_path) as daemons, closing(_Ended(Lesson(tmp_path, daemons))) as ended:
        lesson = ended.lesson
        lesson.say("wait")
        lesson.say("table")
        lesson.wait_for(r"The ring is whole: 1, 3, 4, 5, 8, 10, 12, 15, and 1 again")
        lesson.say("3 store 2012")
        lesson.wait_for(r"room/3/2012\.txt is made, 800 lines")
        lesson.wait_for(r"peer 3: 2012 is stored, .*; kept by 3 nodes: 1, 3, 4$")
        lesson.say("8 request 2012")
        lesson.wait_for(r"peer 8: .*/room/8/received_file_2012_8\.txt$")
        made = (tmp_path / "room/3/2012.txt").read_bytes()
        assert (tmp_path / "room/8/received_file_2012_8.txt").read_bytes() == made
        lesson.say("leave 5")
        lesson.wait_for_all(r"peer 4: peer 5 will depart from the ring", r"peer 5: this peer has left the ring")
        lesson.say("kill 10")
        lesson.wait_for(r"peer 10 is dead; it has told nobody")
        lesson.say("table")
        lesson.wait_for(r"^ +8 +[45] +\(10\), 12 +- +on the ring +\d+$")
        lesson.wait_for(r"^ +10 +- +- +- +dead for \d+ s +-$")
        lesson.wait_for(r"Not whole yet: ")
        lesson.say("join 230 12")
        lesson.wait_for(r"peer 230: keeping the file 2012")
        lesson.say("10 status")
        lesson.wait_for(r"there is no peer 10; there are 1, 3, 4, 8, 12, 15, 230")
        lesson.hang_up()
        assert lesson.wait() == 1


@pytest.mark.slow
@pytest.mark.parametrize(("last", "status"), [("8 request 2012", 0), ("8 request 2013", 1)])
def test_lesson_from_a_file(tmp_path: Path, last: str, status: int) -> None:
    """The last line of a file is done before all peers end; what a peer could not do is in the status."""
    with Daemons(tmp_path) as daemons, closing(_Ended(Lesson(tmp_path, daemons))) as ended:
        for line in ("wait", "3 store 2012", "wait 5", last):
            ended.lesson.say(line)
        ended.lesson.hang_up()
        assert ended.lesson.wait() == status
        assert (tmp_path / "room/8/received_file_2012_8.txt").exists() == (status == 0)


class _Ended:
    """Ends a window."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson

    def close(self) -> None:
        """End it."""
        self.lesson.end()


@pytest.mark.slow
def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends the lesson with all its peers."""
    with Daemons(tmp_path) as daemons, closing(_Ended(Lesson(tmp_path, daemons))) as ended:
        ended.lesson.wait_for(r"peer 15: this peer is on the ring")
        ended.lesson.interrupt()
        assert "interrupted" in ended.lesson.rest()
        assert ended.lesson.wait() == 128 + signal.SIGINT
