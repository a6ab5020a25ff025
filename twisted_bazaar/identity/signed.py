"""Signed statements in envelopes, after DSSE, the Dead Simple Signing Envelope.

What is signed is the type of a statement and the exact bytes of it, together. Who opens an envelope
verifies these bytes first and reads the statement from the very same: nothing is ever written anew to be
verified, so there is no second form of a statement that a signature could be made to fit. The type keeps
a statement of one kind from being taken for one of another.

An envelope is JSON, with the keys that DSSE gives it, and so can be checked by other tools too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, ClassVar, Final, TypeVar, dataclass_transform

import msgspec
from msgspec import Meta

from twisted_bazaar.errors import UNREADABLE, Forged
from twisted_bazaar.identity.keys import KeyPair, is_signed_by
from twisted_bazaar.wire.strict_json import check_strict

LONGEST_PAYLOAD_BYTES: Final = 16_384
_TYPE_PREFIX: Final = "application/vnd.twisted-bazaar."
_TYPE_SUFFIX: Final = "+json"
_from_hex: Final = bytes.fromhex


@dataclass_transform(frozen_default=True)
class _StatementMeta(msgspec.StructMeta):
    """Tells type checkers that what is derived from a statement is frozen too."""


class Statement(msgspec.Struct, metaclass=_StatementMeta, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Something that a node signs. Its subclasses are its kinds.

    @cvar kind: one word that tells it from other statements.
    """

    kind: ClassVar[str]

    @classmethod
    def payload_type(cls) -> str:
        """The type by which an envelope calls this kind of statement."""
        return _TYPE_PREFIX + cls.kind + _TYPE_SUFFIX

    @property
    def signer(self) -> str:
        """The public key of the node whose statement this claims to be."""
        raise NotImplementedError


AnyStatement = TypeVar("AnyStatement", bound=Statement)


class Signature(msgspec.Struct, frozen=True, gc=False):
    """One signature.

    @ivar keyid: the public key that it was made with.
    @ivar sig: its 64 bytes.
    """

    keyid: Annotated[str, Meta(min_length=64, max_length=64)]
    sig: Annotated[bytes, Meta(min_length=64, max_length=64)]

    def __post_init__(self) -> None:
        # A pattern would say the same, and take as long as all the rest of a message.
        try:
            is_proper = _from_hex(self.keyid).hex() == self.keyid
        except ValueError:
            is_proper = False
        if not is_proper:
            raise ValueError("keyid: not 64 lower-case hexadecimal digits")


class Envelope(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A statement as its signer wrote it, byte for byte, and the signature of that.

    @ivar payload: the statement, in JSON; base64 in the envelope's own JSON.
    @ivar payload_type: what kind it is.
    @ivar signatures: of the one who states it.
    """

    payload: Annotated[bytes, Meta(max_length=LONGEST_PAYLOAD_BYTES)]
    payload_type: Annotated[str, Meta(max_length=128)]
    signatures: Annotated[tuple[Signature, ...], Meta(min_length=1, max_length=1)]

    def open(self, kind: type[AnyStatement]) -> AnyStatement:
        """The statement in it, once its signature is found to hold.

        @param kind: what it has to be.
        @raise Forged: it is of another kind, its signature does not hold, or it is signed with another key
            than that of the node it speaks for.
        """
        name = kind.kind
        [signature] = self.signatures
        if self.payload_type != kind.payload_type():
            raise Forged(f"{name}: it is signed as {self.payload_type!r}")
        if not is_signed_by(signature.keyid, _what_is_signed(self.payload_type, self.payload), signature.sig):
            raise Forged(f"{name}: the signature does not hold")
        try:
            statement: AnyStatement = _decoder(kind).decode(self.payload)
            if _encode(statement) != self.payload:
                # Written by another, or with a key twice.
                check_strict(self.payload)
        except UNREADABLE as error:
            raise Forged(f"{name}: {error}") from None
        if statement.signer != signature.keyid:
            raise Forged(f"{name}: it speaks for {statement.signer[:16]} and is signed by {signature.keyid[:16]}")
        return statement

    def encode(self) -> bytes:
        """The envelope as JSON; always the same bytes."""
        return _encode(self)


def seal(key: KeyPair, statement: Statement) -> Envelope:
    """Sign a statement.

    @raise Forged: it is longer than anybody would take it.
    """
    payload = _encode(statement)
    if len(payload) > LONGEST_PAYLOAD_BYTES:
        raise Forged(f"{statement.kind}: {len(payload)} bytes; at most {LONGEST_PAYLOAD_BYTES} are taken")
    payload_type = statement.payload_type()
    signature = key.sign(_what_is_signed(payload_type, payload))
    return Envelope(payload, payload_type, (Signature(key.public, signature),))


def read_envelope(text: bytes) -> Envelope:
    """Read an envelope that stands in a file; nothing is verified yet.

    @raise Forged: it is none.
    """
    try:
        return _read(text)
    except UNREADABLE as error:
        raise Forged(f"not an envelope: {error}") from None


def _what_is_signed(payload_type: str, payload: bytes) -> bytes:
    """Type and payload, each with its length, so that no two pairs give the same bytes (DSSE's PAE)."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


@lru_cache
def _decoder(kind: type[Statement]) -> Any:
    return msgspec.json.Decoder(kind)


_encode: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(Envelope).decode
