"""What CloudWatch tells apart where other services say one thing.

InvalidError
  x CombinationError       each parameter is right, together they are not
  x MissingParameterError  something that must be there is not
"""

from windtunnel.cloud.errors import InvalidError


class CombinationError(InvalidError):
    """Parameters that contradict each other."""


class MissingParameterError(InvalidError):
    """A parameter that must be given is not."""
