"""STS: who the caller is, and temporary credentials for a role or for oneself.

Whoever holds a key of this home may assume any role that IAM has here: trust policies are kept and
not enforced (`iam.py`). What a caller asks of a session and this cloud would not enforce (session
policies, tags, MFA) is refused by name (`gateway/coverage.py`).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from windtunnel.aws.arn import Arn
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.foundation.callers import Caller, Callers, current_caller
from windtunnel.cloud.foundation.errors import DeniedError
from windtunnel.cloud.foundation.iam import Iam
from windtunnel.cloud.foundation.roles import Role
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID

Document = dict[str, Any]

# "By default, the value is set to 3600 seconds", "the chained role session is limited to a maximum
# of one hour"; 12 hours "as the default" (botocore's pages on AssumeRole and GetSessionToken).
_ROLE_SESSION_S = 3600
_CHAINED_SESSION_S_MAX = 3600
_OWN_SESSION_S = 43_200


class Sts:
    """STS's operations."""

    def __init__(self, callers: Callers, iam: Iam, clock: Clock) -> None:
        self._callers = callers
        self._iam = iam
        self._clock = clock

    def operations(self) -> Mapping[str, Callable[[Document], Awaitable[Document]]]:
        """Return what the API can ask for."""
        return {
            "AssumeRole": self.assume_role,
            "GetCallerIdentity": self.get_caller_identity,
            "GetSessionToken": self.get_session_token,
        }

    async def get_caller_identity(self, request: Document) -> Document:
        """Return who the caller is."""
        del request
        caller = current_caller()
        return {"user_id": caller.user_id, "account": ACCOUNT_ID, "arn": caller.arn}

    async def assume_role(self, request: Document) -> Document:
        """Return credentials that act as a role until they expire."""
        caller = current_caller()
        role = self._assumable(request["role_arn"], caller)
        duration_s: int = request.get("duration_seconds", _ROLE_SESSION_S)
        if duration_s > role.max_session_s:
            raise InvalidError(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            )
        if caller.is_role_session and duration_s > _CHAINED_SESSION_S_MAX:
            raise InvalidError(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed "
                "by role chaining."
            )
        session, token = self._callers.start_session(
            role_id=role.id,
            role_name=role.name,
            session_name=request["role_session_name"],
            expires_s=self._expiry_s(duration_s),
            is_role_session=True,
        )
        return {
            "credentials": _described(session, token),
            "assumed_role_user": {"assumed_role_id": session.user_id, "arn": session.arn},
        }

    async def get_session_token(self, request: Document) -> Document:
        """Return temporary credentials of the owner's own."""
        caller = current_caller()
        if caller.expires_s is not None:
            raise DeniedError("Cannot call GetSessionToken with session credentials")
        session, token = self._callers.start_session(
            role_id=caller.role_id,
            role_name=caller.role_name,
            session_name=caller.session_name,
            expires_s=self._expiry_s(request.get("duration_seconds", _OWN_SESSION_S)),
            is_role_session=False,
        )
        return {"credentials": _described(session, token)}

    def _assumable(self, text: str, caller: Caller) -> Role:
        """Return the role that an ARN names; AWS does not tell a missing one from a closed one."""
        arn = Arn.parse(text)
        if arn is None or arn.service != "iam" or not arn.resource.startswith("role/"):
            raise InvalidError(f"{text} is invalid")
        role = self._iam.find(arn.resource.rpartition("/")[2])
        if role is None or role.arn != text:
            raise DeniedError(
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: "
                f"{text}"
            )
        return role

    def _expiry_s(self, duration_s: int) -> int:
        # Whole seconds, as the answer says it.
        return int(self._clock.now_s()) + duration_s


def _described(session: Caller, token: str) -> Document:
    return {
        "access_key_id": session.access_key_id,
        "secret_access_key": session.secret_access_key,
        "session_token": token,
        "expiration": session.expires_s,
    }
