"""Who the caller is: the one owner of a home, in the form of an assumed role.

A role and not a user, because the SageMaker SDK's `get_execution_role` takes nothing else.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from windtunnel.aws.arn import Arn
from windtunnel.core.home import ACCOUNT_ID

ROLE_NAME = "WindtunnelLocalRole"
SESSION_NAME = "windtunnel"
# A role's unique id is AROA and 17 more characters (IAM, "Unique identifiers").
ROLE_ID = "AROAWINDTUNNELLOCAL00"


class Sts:
    """STS's operations."""

    def operations(self) -> Mapping[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]:
        """Return what the API can ask for."""
        return {"GetCallerIdentity": self.get_caller_identity}

    async def get_caller_identity(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return who the caller is."""
        del request
        resource = f"assumed-role/{ROLE_NAME}/{SESSION_NAME}"
        return {
            "user_id": f"{ROLE_ID}:{SESSION_NAME}",
            "account": ACCOUNT_ID,
            "arn": str(Arn("sts", "", ACCOUNT_ID, resource)),
        }
