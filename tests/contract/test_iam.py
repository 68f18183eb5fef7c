"""IAM's roles through boto3."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow

POLICY = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
INLINE = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def _create(iam: Any, name: str, **more: Any) -> Any:
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), **more)


def _refusal(call: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )


def test_a_role_is_described_as_it_was_made(iam: Any) -> None:
    """Scripts make a role, then read its ARN, its trust and its tags back."""
    made = _create(
        iam, "Made", Path="/a/b/", Description="ünï", Tags=[{"Key": "Team", "Value": "ml"}]
    )["Role"]
    role = iam.get_role(RoleName="Made")["Role"]

    assert role["Arn"] == made["Arn"] == "arn:aws:iam::000000000000:role/a/b/Made"
    assert role["RoleId"].startswith("AROA")
    assert len(role["RoleId"]) == 21
    assert role["AssumeRolePolicyDocument"] == TRUST
    assert role["Description"] == "ünï"
    assert role["MaxSessionDuration"] == 3600
    assert role["Tags"] == [{"Key": "Team", "Value": "ml"}]


def test_a_role_can_be_changed_in_every_part(iam: Any) -> None:
    """What a script set up once, another one brings up to date."""
    _create(iam, "Changed")
    trust = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Sid": "New"}]}
    iam.update_assume_role_policy(RoleName="Changed", PolicyDocument=json.dumps(trust))
    iam.update_role(RoleName="Changed", Description="new", MaxSessionDuration=7200)
    iam.tag_role(RoleName="Changed", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.tag_role(RoleName="Changed", Tags=[{"Key": "A", "Value": "3"}])
    iam.untag_role(RoleName="Changed", TagKeys=["b", "unknown"])
    role = iam.get_role(RoleName="Changed")["Role"]

    assert role["AssumeRolePolicyDocument"] == trust
    assert (role["Description"], role["MaxSessionDuration"]) == ("new", 7200)
    assert iam.list_role_tags(RoleName="Changed")["Tags"] == [{"Key": "A", "Value": "3"}]


def test_a_role_goes_only_when_nothing_hangs_on_it(iam: Any) -> None:
    """As on AWS: a clean-up that forgets a policy is told so."""
    _create(iam, "Going")
    iam.attach_role_policy(RoleName="Going", PolicyArn=POLICY)
    iam.attach_role_policy(RoleName="Going", PolicyArn=POLICY)
    iam.put_role_policy(RoleName="Going", PolicyName="p", PolicyDocument=json.dumps(INLINE))

    assert iam.list_attached_role_policies(RoleName="Going")["AttachedPolicies"] == [
        {"PolicyName": "AmazonSageMakerFullAccess", "PolicyArn": POLICY}
    ]
    assert iam.list_role_policies(RoleName="Going")["PolicyNames"] == ["p"]
    answer = iam.get_role_policy(RoleName="Going", PolicyName="p")
    assert answer["PolicyDocument"] == INLINE

    def delete() -> None:
        iam.delete_role(RoleName="Going")

    words = "Cannot delete entity, must detach all policies first."
    assert _refusal(delete) == ("DeleteConflict", 409, words)
    iam.detach_role_policy(RoleName="Going", PolicyArn=POLICY)
    words = "Cannot delete entity, must delete policies first."
    assert _refusal(delete) == ("DeleteConflict", 409, words)
    iam.delete_role_policy(RoleName="Going", PolicyName="p")
    delete()
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="Going")


def test_boto3s_paginator_sees_every_role_of_a_path_once(iam: Any) -> None:
    """`list_roles` with a prefix is how tools find their own."""
    names = [f"Paged{number}" for number in range(5)]
    for name in names:
        _create(iam, name, Path="/paged/")
    pages = list(
        iam.get_paginator("list_roles").paginate(
            PathPrefix="/paged/", PaginationConfig={"PageSize": 2}
        )
    )

    assert [[role["RoleName"] for role in page["Roles"]] for page in pages] == [
        names[:2],
        names[2:4],
        names[4:],
    ]


_JSON = json.dumps(TRUST)


@pytest.mark.parametrize(
    ("operation", "request_", "code", "status", "words"),
    [
        ("get_role", {"RoleName": "none"}, "NoSuchEntity", 404, "The role with name none cannot"),
        ("delete_role", {"RoleName": "none"}, "NoSuchEntity", 404, "none"),
        (
            "delete_role",
            {"RoleName": "WindtunnelLocalRole"},
            "UnmodifiableEntity",
            400,
            "can be changed and not deleted",
        ),
        (
            "create_role",
            {"RoleName": "windtunnellocalROLE", "AssumeRolePolicyDocument": _JSON},
            "EntityAlreadyExists",
            409,
            "Role with name windtunnellocalROLE already exists.",
        ),
        (
            "create_role",
            {"RoleName": "r", "AssumeRolePolicyDocument": "{"},
            "MalformedPolicyDocument",
            400,
            "This policy contains invalid Json",
        ),
        (
            "create_role",
            {"RoleName": "r", "AssumeRolePolicyDocument": json.dumps(INLINE)},
            "MalformedPolicyDocument",
            400,
            "Missing required field Principal",
        ),
        (
            "create_role",
            {
                "RoleName": "r",
                "AssumeRolePolicyDocument": _JSON[:-1] + ', "Id": "%s"}' % ("x" * 2048),
            },
            "LimitExceeded",
            409,
            "Cannot exceed quota for ACLSizePerRole: 2048",
        ),
        (
            "create_role",
            {"RoleName": "r r", "AssumeRolePolicyDocument": _JSON},
            "ValidationError",
            400,
            "at 'roleName' failed to satisfy constraint",
        ),
        (
            "create_role",
            {"RoleName": "r", "AssumeRolePolicyDocument": _JSON, "PermissionsBoundary": POLICY},
            "ValidationError",
            400,
            "does not offer PermissionsBoundary.",
        ),
        (
            "put_role_policy",
            {"RoleName": "WindtunnelLocalRole", "PolicyName": "p", "PolicyDocument": _JSON},
            "MalformedPolicyDocument",
            400,
            "should not specify a principal",
        ),
        (
            "attach_role_policy",
            {
                "RoleName": "WindtunnelLocalRole",
                "PolicyArn": "arn:aws:iam::000000000000:policy/mine",
            },
            "NoSuchEntity",
            404,
            "does not exist or is not attachable",
        ),
        (
            "detach_role_policy",
            {"RoleName": "WindtunnelLocalRole", "PolicyArn": POLICY + "2"},
            "NoSuchEntity",
            404,
            "was not found",
        ),
        (
            "get_role_policy",
            {"RoleName": "WindtunnelLocalRole", "PolicyName": "p"},
            "NoSuchEntity",
            404,
            "The role policy with name p cannot be found.",
        ),
        ("list_roles", {"Marker": "made up"}, "ValidationError", 400, "The Marker does not belong"),
        (
            "create_user",
            {"UserName": "u"},
            "UnsupportedOperationException",
            400,
            "CreateUser of iam",
        ),
    ],
)
def test_what_is_wrong_has_iams_codes(
    iam: Any, operation: str, request_: dict[str, Any], code: str, status: int, words: str
) -> None:
    """Tools create what is missing on NoSuchEntity and go on upon EntityAlreadyExists."""
    got_code, got_status, message = _refusal(lambda: getattr(iam, operation)(**request_))

    assert (got_code, got_status) == (code, status)
    assert words in message


def test_a_simulation_says_what_is_so_here(iam: Any) -> None:
    """The SageMaker SDK asks before it deploys; nothing here would be denied."""
    _create(iam, "Simulated")
    arn = "arn:aws:iam::000000000000:role/Simulated"
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=arn,
        ActionNames=["sagemaker:CreateModel", "ecr:GetAuthorizationToken", "s3:*"],
        PaginationConfig={"PageSize": 2},
    )
    found = [each for page in pages for each in page["EvaluationResults"]]
    unknown = _refusal(
        lambda: iam.simulate_principal_policy(PolicySourceArn=f"{arn}2", ActionNames=["s3:*"])
    )
    wrong = _refusal(
        lambda: iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["everything"])
    )

    assert [(each["EvalActionName"], each["EvalDecision"]) for each in found] == [
        ("ecr:GetAuthorizationToken", "allowed"),
        ("s3:*", "allowed"),
        ("sagemaker:CreateModel", "allowed"),
    ]
    assert unknown[:2] == ("NoSuchEntity", 404)
    assert wrong[:2] == ("ValidationError", 400)
