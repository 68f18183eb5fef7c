"""Whether a policy document is one: the checks of its form that IAM makes when it takes it.

Policies are kept and given back; nothing here, or anywhere in this cloud, enforces them. Rules:
pure. Wording, where public threads show it: external-dns#3085 (a prohibited Resource),
aws-microservices-deploy-options#118 (no JSON).
"""

import json
from typing import Any

from windtunnel.cloud.foundation.errors import MalformedPolicyError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.core import limits

_VERSIONS = ("2008-10-17", "2012-10-17")
_STATEMENT_KEYS = frozenset(
    (
        "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
        "NotResource", "Condition",
    )
)  # fmt: skip


def check_trust_policy(document: str) -> None:
    """Refuse what cannot be a role's trust policy."""
    for statement in _statements(document):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise MalformedPolicyError("Missing required field Principal")
        if "Resource" in statement or "NotResource" in statement:
            raise MalformedPolicyError("Has prohibited field Resource")
        actions = _listed(statement.get("Action"))
        if not actions:
            raise MalformedPolicyError("Missing required field Action")
        if not all(action == "*" or action.lower().startswith("sts:") for action in actions):
            raise MalformedPolicyError("AssumeRole policy may only specify STS AssumeRole actions.")
    if _size(document) > limits.TRUST_POLICY_CHARACTERS_MAX:
        raise LimitExceededError(
            f"Cannot exceed quota for ACLSizePerRole: {limits.TRUST_POLICY_CHARACTERS_MAX}"
        )


def check_inline_policies(role_name: str, documents: dict[str, str], added: str) -> None:
    """Refuse an inline policy that is none, or more of them than a role may have."""
    for statement in _statements(documents[added]):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise MalformedPolicyError("Policy document should not specify a principal.")
        if "Action" not in statement and "NotAction" not in statement:
            raise MalformedPolicyError("Policy statement must contain actions.")
        if "Resource" not in statement and "NotResource" not in statement:
            raise MalformedPolicyError("Policy statement must contain resources.")
    if sum(map(_size, documents.values())) > limits.INLINE_POLICIES_CHARACTERS_MAX:
        raise LimitExceededError(
            f"Maximum policy size of {limits.INLINE_POLICIES_CHARACTERS_MAX} bytes exceeded for "
            f"role {role_name}"
        )


def _statements(document: str) -> list[dict[str, Any]]:
    try:
        policy = json.loads(document)
    except (ValueError, RecursionError):
        raise MalformedPolicyError("This policy contains invalid Json") from None
    if not isinstance(policy, dict) or policy.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise MalformedPolicyError("Syntax errors in policy.")
    found = policy.get("Statement")
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicyError("Missing required field Statement")
    for statement in statements:
        if (
            not isinstance(statement, dict)
            or not statement.keys() <= _STATEMENT_KEYS
            or statement.get("Effect") not in ("Allow", "Deny")
        ):
            raise MalformedPolicyError("Syntax errors in policy.")
    return statements


def _listed(value: object) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    names = [each for each in values if isinstance(each, str)]
    if len(names) < len(values):
        raise MalformedPolicyError("Syntax errors in policy.")
    return names


def _size(document: str) -> int:
    """Return a document's size as IAM counts it: white space is free."""
    return len("".join(document.split()))
