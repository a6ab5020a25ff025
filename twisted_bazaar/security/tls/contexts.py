"""The TLS settings of a node: version 1.3 alone, certificates at both ends, one name for what is spoken.

No session is resumed: that would cost as much as a new handshake, and a resumed one shows no certificate to its
callbacks. So tickets are off, which takes both switches.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from OpenSSL import SSL
from OpenSSL.crypto import X509

from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.security.certificate import OwnCertificate

ALPN: Final = b"bazaar/2"
"""What is spoken within (RFC 7301)."""

# In OpenSSL, not in pyOpenSSL: an idle connection gives its buffers back.
_MODE_RELEASE_BUFFERS: Final = 0x10


@frozen
class TlsContexts:
    """The settings of one node, for connections that it makes and for those that it takes."""

    dialling: SSL.Context
    accepting: SSL.Context

    @classmethod
    def of(cls, key: KeyPair) -> TlsContexts:
        """The settings of the node with a key."""
        own = OwnCertificate.of(key)
        dialling, accepting = _context(own), _context(own)
        dialling.set_alpn_protos([ALPN])
        accepting.set_alpn_select_callback(_choose)
        return cls(dialling, accepting)


def _context(own: OwnCertificate) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_options(SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(_MODE_RELEASE_BUFFERS)
    context.use_certificate(own.certificate)
    context.use_privatekey(own.private_key)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _is_of_a_node)
    return context


def _is_of_a_node(connection: SSL.Connection, certificate: X509, error: int, depth: int, is_valid: int) -> bool:
    """Refuse other kinds of key early. Whose key it is, is judged after the handshake, by the leaf alone."""
    return isinstance(certificate.to_cryptography().public_key(), Ed25519PublicKey)


def _choose(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS
