"""What SageMaker tells apart where other services say one thing."""

from windtunnel.cloud.errors import InvalidError


class LimitExceededError(InvalidError):
    """More of something than there may be."""
