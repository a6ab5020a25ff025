"""Streams over datagrams, as Twisted knows transports: the thin side of L{twisted_bazaar.files.window}.

All streams of a node go over one socket, which they share with its other datagrams: whoever owns it hands in what
comes (L{Streams.datagram_received} says whether it was for them), and sends what it is given.
"""

from twisted_bazaar.files.udp.doorway import Doorway
from twisted_bazaar.files.udp.streams import StreamLimits, Streams, UdpEndpoint
from twisted_bazaar.files.udp.transfer import Transfer
from twisted_bazaar.files.udp.transfer_log import TransferLog
from twisted_bazaar.files.udp.transport import StreamTransport, Where

__all__ = ["Doorway", "StreamLimits", "StreamTransport", "Streams", "Transfer", "TransferLog", "UdpEndpoint", "Where"]
