"""A reliable stream of bytes over datagrams: window, selective acknowledgement, congestion. Sans-IO.

L{Stream} is one end of it, L{Handshake} what lets strangers in. Sockets, timers and the face of a Twisted transport are
in L{twisted_bazaar.files.udp}.
"""

from twisted_bazaar.files.window.handshake import Handshake
from twisted_bazaar.files.window.settings import Counters, Settings, Watcher
from twisted_bazaar.files.window.stream import Ended, State, Stream

__all__ = ["Counters", "Ended", "Handshake", "Settings", "State", "Stream", "Watcher"]
