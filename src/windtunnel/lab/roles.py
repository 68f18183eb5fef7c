"""Which role a model runs as, found as the SageMaker SDK finds it.

On AWS a name is looked up, because only IAM knows the path in its ARN; without one it is the role
that the caller has assumed, as in a notebook or a pipeline. A caller who is a user, or who signed
in as a person, has no role that SageMaker could take over, and is told so before anything is made.
"""

import re

from botocore.exceptions import ClientError

from windtunnel.core.errors import UsageError
from windtunnel.lab import refusals
from windtunnel.lab.target import Target

_LOCAL_ROLE = "windtunnel"
_ASSUMED_ROLE = re.compile(r"arn:[a-z-]+:sts::\d{12}:assumed-role/([^/]+)/.+")
# What IAM Identity Center gives people; its roles trust the sign-in, not SageMaker.
_SIGNED_IN = "AWSReservedSSO_"
# The SDK's own exception to the rule: roles that SageMaker's console made lie below this path.
_CONSOLES_ROLE = "AmazonSageMaker-ExecutionRole"


def role_arn(target: Target, role: str | None) -> str:
    """Return the ARN of the role that was named, or of the caller's own."""
    if role is not None and role.startswith("arn:"):
        return role
    if target.kind == "local":
        return _arn(target, role or _LOCAL_ROLE)
    if role is not None:
        return _looked_up(target, role)
    return _own(target)


def _arn(target: Target, name: str) -> str:
    partition = target.session.get_partition_for_region(target.region)
    return f"arn:{partition}:iam::{target.account}:role/{name}"


def _looked_up(target: Target, name: str) -> str:
    with refusals.explained(f"role {name}"):
        try:
            return str(target.iam().get_role(RoleName=name)["Role"]["Arn"])
        except ClientError as error:
            if refusals.is_missing(error):
                raise UsageError(
                    f"There is no role {name} in account {target.account}: name another with "
                    "--role, one that SageMaker may assume."
                ) from error
            if refusals.is_denied(error):
                raise UsageError(
                    f"The caller may not look up role {name} (iam:GetRole): give its whole ARN "
                    "with --role."
                ) from error
            raise


def _own(target: Target) -> str:
    match = _ASSUMED_ROLE.fullmatch(target.caller_arn)
    if match is None or match[1].startswith(_SIGNED_IN):
        raise UsageError(
            f"The caller is {target.caller_arn}, which is no role that a model could run as: "
            "name one that SageMaker may assume with --role."
        )
    name = match[1]
    try:
        with refusals.explained(f"role {name}"):
            return str(target.iam().get_role(RoleName=name)["Role"]["Arn"])
    except refusals.DeniedError:
        # Without leave to look, the SDK takes the role to lie at the root.
        return _arn(target, f"service-role/{name}" if _CONSOLES_ROLE in name else name)
