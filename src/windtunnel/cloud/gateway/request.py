"""One request on its way through the gateway's steps."""

import hashlib
import itertools
import uuid
from typing import TYPE_CHECKING

from windtunnel.cloud.foundation.callers import Caller
from windtunnel.cloud.gateway.signature import AnyClaim
from windtunnel.http.message import Head
from windtunnel.http.server import BodySink, Exchange

if TYPE_CHECKING:
    from hashlib import _Hash

_PREFIX = str(uuid.uuid4())[:24]
_NUMBERS = itertools.count(1)


class Request:
    """What the steps know of a request; each step fills in what later ones need."""

    __slots__ = (
        "caller",
        "claim",
        "endpoint_name",
        "exchange",
        "hasher",
        "head",
        "held_bytes",
        "plan",
        "request_id",
        "service",
    )

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.head: Head = exchange.head
        # A UUID in form: unique within this process, and cheap.
        self.request_id = b"%s%012x" % (_PREFIX.encode(), next(_NUMBERS))
        self.service = "s3"
        self.claim: AnyClaim | None = None
        # Whose key the claim names; it is theirs once the claim is proven.
        self.caller: Caller | None = None
        self.endpoint_name = ""
        # Where the body goes: kept up to so many bytes, or streamed.
        self.plan: int | BodySink = 0
        self.held_bytes = 0
        self.hasher: _Hash | None = None

    def hash_body(self) -> None:
        """Hash the body as it comes, so that no second pass over it is needed."""
        self.hasher = hashlib.sha256()
        self.exchange.on_chunk = self.hasher.update

    @property
    def hashed_payload(self) -> str:
        """The hash of the body that came."""
        assert self.hasher is not None
        return self.hasher.hexdigest()
