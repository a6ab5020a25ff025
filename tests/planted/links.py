"""Bugs of promise 12: links that are to somebody else than they say, or that somebody else reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.planted.bug import Bug, bug

_SESSION: Final = "security/tls/tls_session.py"
_IMPOSTERS: Final = "security/tls/test_tls_session.py::ImposterTests::"
_TRANSPORT: Final = "security/links/test_sealed_transport.py::SealedTransportTests::"
_NODES: Final = "security/links/test_sealed_nodes.py::SealedNodeTests::"
_SEALED: Final = "node/datagrams/sealed/"
_PATHS: Final = "node/datagrams/sealed/test_paths.py::OthersTests::"
_KNOWN: Final = "security/test_known_keys.py::KnownKeysTests::"

BUGS: Final[Mapping[int, Sequence[Bug]]] = {
    12: (
        bug(
            "a key that nobody owns",
            "security/test_certificate.py",
            ("security/certificate.py", "crypto_sign_ed25519_pk_to_curve25519(raw)", "pass"),
        ),
        bug(
            "a responder's key that follows from what is public",
            "security/noise/test_handshake.py",
            (
                "security/noise/handshake.py",
                "answers alike.\n        self._ephemeral = AgreementKey.fresh()",
                "answers alike.\n        self._ephemeral = AgreementKey.from_bytes(own.public)",
            ),
        ),
        bug(
            "a first message under the name of somebody else",
            "security/noise/test_node_handshake.py",
            ("security/noise/node_handshake.py", "if agreement_key_of(key) != static:", "if False:"),
        ),
        bug(
            "a datagram that counts twice",
            "security/noise/test_datagram_session.py",
            ("security/noise/datagram_session.py", "self._window.mark(number)", "pass"),
        ),
        bug(
            "a session used before anybody has spoken in it",
            f"{_PATHS}test_all_again",
            (f"{_SEALED}paths.py", "path.pending = Opened(", "path.opened = path.pending = Opened("),
        ),
        bug(
            "work with keys for who shows no cookie",
            f"{_PATHS}test_no_work_without_cookie",
            (f"{_SEALED}paths.py", "if not self._cookies.is_valid(cookie.hex(), *where, now):", "if False:"),
        ),
        bug(
            "a key that is wanted no more when another is said",
            f"{_PATHS}test_other_at_the_address",
            (
                f"{_SEALED}paths.py",
                "        if path.key is None:\n            # Nobody",
                "        if path.key != key.hex():\n            # Nobody",
            ),
        ),
        bug(
            "an order taken as a question",
            "node/datagrams/sealed/test_protocol.py",
            (f"{_SEALED}protocol.py", "if not message.is_question:", "if False:"),
        ),
        bug(
            "somebody new after all that come again",
            "node/datagrams/sealed/test_handshake_share.py",
            (f"{_SEALED}handshake_share.py", "if not self._first.allow(now):", "if not self._more.allow(now):"),
        ),
        bug(
            "answers to many that leave none to somebody new",
            f"{_PATHS}test_many_knock",
            (f"{_SEALED}paths.py", "if self._newcomers.allow(host, now) or self._answers", "if self._answers"),
        ),
        bug(
            "a sender believed that says it is another",
            "node/datagrams/sealed/test_protocol.py",
            (f"{_SEALED}protocol.py", "if key is None or not message.is_from(key):", "if key is None:"),
        ),
        bug(
            "an answer for whoever was last heard at an address",
            f"{_PATHS}test_at_the_address_of_another",
            (
                f"{_SEALED}paths.py",
                "path = self._path(where, key, now)\n        if path.opened",
                "path = self._path(where, None, now)\n        if path.opened",
            ),
        ),
        bug(
            "a stream to whoever is at an address",
            "node/datagrams/test_streaming.py",
            (f"{_SEALED}protocol.py", "(host, port), keys[0] if keys else None", "(host, port), None"),
            ("files/udp/transport.py", "or where[: len(self.where)] == self.where", "or where[:2] == self.where[:2]"),
        ),
        bug(
            "a handshake for each question without end",
            "node/datagrams/sealed/test_paths.py::WaysTests::test_asked_again_and_again",
            (f"{_SEALED}paths.py", "if path.was_answered and not", "if False and not"),
        ),
        bug(
            "a verdict by what stands above the leaf",
            f"{_IMPOSTERS}test_stolen_certificate",
            (
                _SESSION,
                "leaf = self._ssl.get_peer_certificate(as_cryptography=True)",
                "leaf = (self._ssl.get_peer_cert_chain(as_cryptography=True) or [None])[-1]",
            ),
        ),
        bug(
            "one that goes on without a common name",
            f"{_IMPOSTERS}test_other_words",
            (_SESSION, "if self._ssl.get_alpn_proto_negotiated() != ALPN:", "if False:"),
        ),
        bug(
            "certificates that nobody asks for",
            f"{_IMPOSTERS}test_no_certificate",
            ("security/tls/contexts.py", "SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT", "SSL.VERIFY_PEER"),
            (_SESSION, 'raise Unproven("it has shown no certificate")', "return ''"),
        ),
        bug(
            "a handshake without an end",
            f"{_IMPOSTERS}test_long_certificate",
            (_SESSION, "HANDSHAKE_BYTES: Final = 8 << 10", "HANDSHAKE_BYTES: Final = 8 << 20"),
        ),
        bug(
            "older versions of TLS",
            f"{_IMPOSTERS}test_older_tls",
            ("security/tls/contexts.py", "    context.set_min_proto_version(SSL.TLS1_3_VERSION)\n", ""),
        ),
        bug(
            "whoever answers where a key was wanted",
            f"{_TRANSPORT}test_wanted_key",
            ("security/links/link_security.py", "if key != wanted:", "if False:"),
        ),
        bug(
            "a cut that passes for an end",
            f"{_TRANSPORT}test_cut",
            ("security/links/transport.py", "elif reason.check(ConnectionDone) and self._is_cut:", "elif False:"),
        ),
        bug(
            "a greeting under somebody else's key",
            f"{_NODES}test_other_key",
            (
                "node/link_table.py",
                "if isinstance(greeting, ThisIsMe) and link.proven_key not in (None, greeting.key):",
                "if False:",
            ),
        ),
        bug(
            "another key at an address that is known",
            f"{_KNOWN}test_first",
            ("security/known_keys.py", "if pinned is None and known not in (None, key):", "if False:"),
        ),
        bug(
            "a pin that is not looked at",
            f"{_KNOWN}test_pinned",
            ("security/known_keys.py", "if pinned is not None and key != pinned:", "if False:"),
        ),
        bug(
            "a pin that a command does not look at",
            "integration/test_sealed_links.py::test_pinned_by_command",
            (
                "security/links/link_security.py",
                "pinned = endpoint.key if isinstance(endpoint, EndpointAround) else None",
                "pinned = endpoint.key if isinstance(endpoint, PinnedEndpoint) else None",
            ),
        ),
        bug(
            "a falling back to what is in the open",
            "integration/test_sealed_links.py::test_plain",
            (
                "security/links/link_security.py",
                "return _SealedClientEndpoint(self, endpoint, judge_at",
                "return endpoint or (judge_at",
            ),
        ),
    ),
}
