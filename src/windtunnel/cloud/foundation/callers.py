"""Who may sign requests: the owner of a home, and the sessions that were made from it.

The owner's key pair lies in the home. A session's is temporary (an access key id `ASIA…`, a secret
and a token) and nothing of it is kept anywhere: the token says who it is and until when, under a
MAC whose key comes from the owner's secret, and the session's secret is derived from the same. So
checking one needs no look-up, survives a restart and costs no memory; the price is that a session
cannot be ended before its time, other than by giving the home a new key.

Rules: pure but for the randomness of new key ids; whether a session has expired is judged by who
knows the time.
"""

import base64
import binascii
import contextvars
import functools
import hmac
import json
import secrets
from dataclasses import dataclass, field

from windtunnel.aws.arn import Arn
from windtunnel.core import limits
from windtunnel.core.home import ACCOUNT_ID, Credentials

# The role that the owner of a home appears in: a role and not a user, because the SageMaker SDK's
# `get_execution_role` takes nothing else.
OWNER_ROLE_NAME = "WindtunnelLocalRole"
# A role's unique id is AROA and 17 more characters (IAM User Guide, "IAM identifiers").
OWNER_ROLE_ID = "AROAWINDTUNNELLOCAL00"
OWNER_SESSION_NAME = "windtunnel"

_KEY_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_MAC_BYTES = 32
# 40 characters, as long as AWS's own.
_SECRET_BYTES = 30


@dataclass(frozen=True)
class Caller:
    """Who signed a request, and the secret that it must be signed with."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    role_id: str
    role_name: str
    session_name: str
    # Seconds since the epoch; None for the owner's own key.
    expires_s: float | None = None
    # Whether AssumeRole made it: what it assumes next is a chain.
    is_role_session: bool = False

    @property
    def arn(self) -> str:
        """The ARN that STS and error messages call it by."""
        resource = f"assumed-role/{self.role_name}/{self.session_name}"
        return str(Arn("sts", "", ACCOUNT_ID, resource))

    @property
    def user_id(self) -> str:
        """The unique id of the role, and the session's name."""
        return f"{self.role_id}:{self.session_name}"


_current: contextvars.ContextVar[Caller] = contextvars.ContextVar("caller")


def set_current_caller(caller: Caller) -> None:
    """Say, for the task that is running, whose request it carries out."""
    _current.set(caller)


def current_caller() -> Caller:
    """Return whose request is being carried out."""
    return _current.get()


class Callers:
    """Everybody whose signature this home accepts."""

    def __init__(self, owner: Credentials) -> None:
        self.owner = Caller(
            owner.access_key_id,
            owner.secret_access_key,
            OWNER_ROLE_ID,
            OWNER_ROLE_NAME,
            OWNER_SESSION_NAME,
        )
        secret = owner.secret_access_key.encode()
        self._mac_key = hmac.digest(secret, b"windtunnel session token", "sha256")
        self._secret_key = hmac.digest(secret, b"windtunnel session secret", "sha256")
        # Reading a token costs 30 µs, and every request of a session carries it.
        self._read = functools.lru_cache(limits.SESSION_CACHE_COUNT_MAX)(self._read_token)

    def find(self, access_key_id: str, token: str | None) -> Caller | None:
        """Return whose key and token these are, None when they are nobody's or do not match."""
        if token is None:
            return self.owner if access_key_id == self.owner.access_key_id else None
        session = self._read(token)
        return session if session is not None and session.access_key_id == access_key_id else None

    def is_token(self, token: str) -> bool:
        """Say whether a token is one of this home's."""
        return self._read(token) is not None

    def start_session(
        self,
        *,
        role_id: str,
        role_name: str,
        session_name: str,
        expires_s: float,
        is_role_session: bool,
    ) -> tuple[Caller, str]:
        """Return a new session and its token."""
        access_key_id = "ASIA" + "".join(secrets.choice(_KEY_ID_ALPHABET) for _ in range(16))
        text = json.dumps(
            [access_key_id, role_id, role_name, session_name, expires_s, is_role_session]
        ).encode()
        mac = hmac.digest(self._mac_key, text, "sha256")
        return self._session(text), base64.b64encode(mac + text).decode("ascii")

    def _session(self, text: bytes) -> Caller:
        access_key_id, role_id, role_name, session_name, expires_s, is_role_session = json.loads(
            text
        )
        secret = hmac.digest(self._secret_key, text, "sha256")[:_SECRET_BYTES]
        return Caller(
            access_key_id,
            base64.b64encode(secret).decode("ascii"),
            role_id,
            role_name,
            session_name,
            expires_s,
            is_role_session,
        )

    def _read_token(self, token: str) -> Caller | None:
        if len(token) > limits.SESSION_TOKEN_BYTES_MAX:
            return None
        try:
            raw = base64.b64decode(token, validate=True)
        except (binascii.Error, ValueError):
            return None
        mac, text = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, hmac.digest(self._mac_key, text, "sha256")):
            return None
        return self._session(text)
