"""Load on an endpoint: when each request is due, how it is signed and sent, what was measured.

Importing this package does not import Locust, which would patch the process: `EndpointUser` is
looked up when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windtunnel.lab.load.user import EndpointUser

__all__ = ["EndpointUser"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is EndpointUser's own
    if name == "EndpointUser":
        from windtunnel.lab.load.user import EndpointUser

        return EndpointUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
