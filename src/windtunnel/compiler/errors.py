"""Why a job fails: by whose doing."""

from windtunnel.core.errors import WindtunnelError


class CompileError(WindtunnelError):
    """A job that cannot end well; the message is for the person who asked for it."""

    kind = "ClientError"


class InternalError(CompileError):
    """A job that failed for a reason that is not in what was asked."""

    kind = "InternalError"
