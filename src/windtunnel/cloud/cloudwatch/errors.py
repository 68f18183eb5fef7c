"""What CloudWatch tells apart where other services say one thing.

InvalidError
  x CombinationError       each parameter is right, together they are not
  x MissingParameterError  something that must be there is not
  x FormatError            text that must be JSON is not
  x ActionError            an alarm's action is none that it could have
  x QueryError             a query of GetMetricData, or an expression in it, makes no sense
  x TokenError             a NextToken does not belong to its request
"""

from windtunnel.cloud.errors import InvalidError


class CombinationError(InvalidError):
    """Parameters that contradict each other."""


class MissingParameterError(InvalidError):
    """A parameter that must be given is not."""


class FormatError(InvalidError):
    """Text that must be JSON is not."""


class ActionError(InvalidError):
    """An action that no alarm here can have."""


class QueryError(InvalidError):
    """A query that cannot be answered."""


class TokenError(InvalidError):
    """A NextToken of another request, or of nobody."""
