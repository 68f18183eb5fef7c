"""Roles last."""

import asyncio
from pathlib import Path

import pytest

from windtunnel.cloud.foundation.errors import MalformedPolicyError
from windtunnel.cloud.foundation.iam import Iam
from windtunnel.cloud.foundation.policies import check_inline_policies, check_trust_policy
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.cloud.store.store import Store
from windtunnel.core import limits
from windtunnel.core.clock import ManualClock

TRUST = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",'
    '"Action":"sts:AssumeRole"}}'
)


def test_roles_outlive_the_cloud(tmp_path: Path) -> None:
    """A home that is opened again has the roles of yesterday, with the same ids."""

    async def scenario() -> None:
        store = await Store.open(tmp_path / "db")
        iam = await Iam.open(store, ManualClock())
        await iam.create_role(
            {
                "role_name": "Kept",
                "assume_role_policy_document": TRUST,
                "tags": [{"key": "k", "value": "v"}],
            }
        )
        await iam.attach_role_policy(
            {"role_name": "Kept", "policy_arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
        )
        before = [iam.find("Kept"), iam.find("WindtunnelLocalRole")]
        await store.close()

        store = await Store.open(tmp_path / "db")
        again = await Iam.open(store, ManualClock(1.0))
        await store.close()
        assert [again.find("Kept"), again.find("WindtunnelLocalRole")] == before
        assert None not in before

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "This policy contains invalid Json"),
        ("[" * 100_000, "This policy contains invalid Json"),
        ("[]", "Syntax errors in policy."),
        ('{"Version": "2026-01-01", "Statement": []}', "Syntax errors in policy."),
        ('{"Version": "2012-10-17"}', "Missing required field Statement"),
        ('{"Statement": [1]}', "Syntax errors in policy."),
        (TRUST.replace("Allow", "Maybe"), "Syntax errors in policy."),
        (TRUST.replace("Principal", "Principle"), "Syntax errors in policy."),
        (TRUST.replace('"Action"', '"Resource":"*","Action"'), "Has prohibited field Resource"),
        (TRUST.replace("sts:AssumeRole", "s3:GetObject"), "only specify STS AssumeRole actions"),
        (TRUST.replace('"sts:AssumeRole"', "7"), "Syntax errors in policy."),
        (TRUST.replace(',"Action":"sts:AssumeRole"', ""), "Missing required field Action"),
    ],
)
def test_a_trust_policy_that_is_none_is_refused(document: str, words: str) -> None:
    """A mistake in a policy shows here, not first on AWS."""
    with pytest.raises(MalformedPolicyError) as caught:
        check_trust_policy(document)
    assert words in caught.value.message


def test_a_roles_inline_policies_are_bounded_together() -> None:
    """As on AWS, where the eleventh kilobyte is refused; white space costs nothing."""
    statement = '{"Statement":{"Effect":"Allow","Action":"%s","Resource":"*"}}'
    half = statement % ("a" * (limits.INLINE_POLICIES_CHARACTERS_MAX // 2))
    check_inline_policies("R", {"one": half.replace(":", ": " + " " * 9000)}, "one")

    with pytest.raises(LimitExceededError, match="exceeded for role R"):
        check_inline_policies("R", {"one": half, "two": half}, "two")
