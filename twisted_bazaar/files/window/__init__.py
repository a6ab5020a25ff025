"""A reliable stream of bytes over datagrams: window, selective acknowledgement, congestion. Sans-IO.

L{Stream} is one end of it, L{Opening} what lets strangers in. Sockets, timers and the face of a Twisted transport are
in L{twisted_bazaar.files.udp}.
"""

from twisted_bazaar.files.window.handshake import Opening
from twisted_bazaar.files.window.settings import Counters, Settings, Watcher
from twisted_bazaar.files.window.stream import Ended, State, Stream

__all__ = ["Counters", "Ended", "Opening", "Settings", "State", "Stream", "Watcher"]
