"""Where the records of TLS end in what comes (RFC 8446, 5.1), which needs no key. Sans-IO."""

from __future__ import annotations

from typing import Final

_HEAD_BYTES: Final = 5


class RecordEnds:
    """Where the records of one direction of a connection end, whatever pieces they come in."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._head = b""
        # Of the record that has begun.
        self._left = 0

    def cut(self, sealed: memoryview, most_bytes: int, most_records: int) -> tuple[int, int]:
        """Cut off what comes next.

        @param most_bytes: at most so many bytes.
        @param most_records: not beyond the end of so many records.
        @return: how many bytes that is, and how many records end in them.
        """
        at, ended, end = 0, 0, min(len(sealed), most_bytes)
        left = self._left
        while at < end and ended < most_records:
            if not left:
                if not self._head and end - at >= _HEAD_BYTES:
                    # The usual case, made short: it is there for each record.
                    left = sealed[at + 3] << 8 | sealed[at + 4]
                    at += _HEAD_BYTES
                else:
                    head = bytes(sealed[at : min(end, at + _HEAD_BYTES - len(self._head))])
                    at += len(head)
                    self._head += head
                    if len(self._head) < _HEAD_BYTES:
                        break
                    left, self._head = int.from_bytes(self._head[3:]), b""
            taken = left if left < end - at else end - at
            at += taken
            left -= taken
            if not left:
                ended += 1
        self._left = left
        return at, ended
