"""What IAM and STS tell apart where other services say one thing."""

from windtunnel.cloud.errors import CloudError, InvalidError


class DeniedError(CloudError):
    """The caller may not do this."""


class MalformedPolicyError(InvalidError):
    """A policy document that is none."""


class AttachedError(InvalidError):
    """What is to be deleted still has other things attached to it."""


class UnmodifiableError(InvalidError):
    """What this cloud itself needs."""
