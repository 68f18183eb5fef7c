"""STS through boto3: identities, sessions, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow

LOCAL_ROLE = "arn:aws:iam::000000000000:role/WindtunnelLocalRole"


def test_get_execution_role_finds_its_role(sts: Any, iam: Any) -> None:
    """The SageMaker SDK reads the role's name from the identity and asks IAM for its ARN."""
    arn = sts.get_caller_identity()["Arn"]
    name = arn[arn.find("/") + 1 : arn.rfind("/")]

    assert ":assumed-role/" in arn
    assert iam.get_role(RoleName=name)["Role"]["Arn"] == LOCAL_ROLE


def test_assumed_credentials_act_as_their_role(contract: Any, sts: Any) -> None:
    """`assume_role` is how scripts change who they are."""
    answer = sts.assume_role(RoleArn=LOCAL_ROLE, RoleSessionName="me@work", DurationSeconds=900)
    session = contract.client("sts", credentials=answer["Credentials"])

    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert session.get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert answer["AssumedRoleUser"]["Arn"].endswith(":assumed-role/WindtunnelLocalRole/me@work")
    with pytest.raises(ClientError, match="AccessDenied.*with session credentials"):
        session.get_session_token()


@pytest.mark.parametrize(
    ("request_", "code", "status", "words"),
    [
        (
            {"RoleArn": "arn:aws:iam::000000000000:role/nobody"},
            "AccessDenied",
            403,
            "is not authorized to perform: sts:AssumeRole on resource",
        ),
        ({"DurationSeconds": 43_201}, "ValidationError", 400, "less than or equal to 43200"),
        ({"RoleSessionName": "a b"}, "ValidationError", 400, "regular expression pattern"),
        ({"RoleArn": "x" * 20}, "ValidationError", 400, "is invalid"),
        ({"Policy": "{}"}, "ValidationError", 400, "does not offer Policy."),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "ValidationError", 400, "does not offer Tags."),
        ({"SerialNumber": "x" * 9, "TokenCode": "123456"}, "ValidationError", 400, "TokenCode"),
    ],
)
def test_what_cannot_be_assumed_is_said_in_awss_words(
    sts: Any, request_: dict[str, Any], code: str, status: int, words: str
) -> None:
    """A restriction that is taken and does nothing would be worse than none."""
    with pytest.raises(ClientError) as caught:
        sts.assume_role(**{"RoleArn": LOCAL_ROLE, "RoleSessionName": "s1", **request_})
    response = caught.value.response

    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert words in response["Error"]["Message"]
