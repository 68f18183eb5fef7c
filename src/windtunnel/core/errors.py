"""The errors a person at the command line meets, by what they can do about them.

    WindtunnelError
      x UsageError     the words or files given cannot be right; exit code 2
      x NotReadyError  something this needs is not there (a cloud, an endpoint, a home); exit code 4

Every message is one sentence that says what is wrong, and what to do next where that is known.
The rooms of the local cloud have errors of their own (`cloud/errors.py`): those become AWS's.
"""


class WindtunnelError(Exception):
    """Any failure that Windtunnel can explain."""

    exit_code = 1


class UsageError(WindtunnelError):
    """What was asked cannot be done as asked."""

    exit_code = 2


class NotReadyError(WindtunnelError):
    """What this needs is missing or not ready."""

    exit_code = 4
