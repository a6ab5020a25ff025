"""What the operator of a node asks of its roles, read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from twisted_bazaar.errors import UsageError

Request = TypeVar("Request", bound=msgspec.Struct)


def read_request(request: Mapping[str, Any], kind: type[Request]) -> Request:
    """What is asked.

    @raise UsageError: it cannot be read; the text says which key is at fault.
    """
    try:
        return msgspec.convert(dict(request), kind)
    except ValueError as error:
        raise UsageError(str(error)) from None
