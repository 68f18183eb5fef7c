"""IAM's and STS's operations, each on what it makes for itself."""

import json
from collections.abc import Callable
from typing import Any

from tests.contract.samples import Cases

_POLICY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
_INLINE = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
)


def _create_role(client: Any, name: str) -> Any:
    return client.create_role(
        RoleName=name,
        Path="/service-role/",
        AssumeRolePolicyDocument=_TRUST,
        Description="of a case",
        MaxSessionDuration=7200,
        Tags=[{"Key": "made-by", "Value": "contract"}],
    )


def _role_then(operation: str, **more: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _create_role(client, name)
        return getattr(client, operation)(RoleName=name, **more)

    return call


def _role_with_policies_then(operation: str, **more: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _create_role(client, name)
        client.attach_role_policy(RoleName=name, PolicyArn=_POLICY)
        client.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=_INLINE)
        return getattr(client, operation)(RoleName=name, **more)

    return call


CASES: Cases = {
    ("iam", "CreateRole"): _create_role,
    ("iam", "GetRole"): _role_then("get_role"),
    ("iam", "ListRoles"): lambda client, _: client.list_roles(),
    ("iam", "UpdateRole"): _role_then("update_role", Description="changed"),
    ("iam", "UpdateAssumeRolePolicy"): _role_then(
        "update_assume_role_policy", PolicyDocument=_TRUST
    ),
    ("iam", "DeleteRole"): _role_then("delete_role"),
    ("iam", "AttachRolePolicy"): _role_then("attach_role_policy", PolicyArn=_POLICY),
    ("iam", "DetachRolePolicy"): _role_with_policies_then("detach_role_policy", PolicyArn=_POLICY),
    ("iam", "ListAttachedRolePolicies"): _role_with_policies_then("list_attached_role_policies"),
    ("iam", "PutRolePolicy"): _role_then(
        "put_role_policy", PolicyName="inline", PolicyDocument=_INLINE
    ),
    ("iam", "GetRolePolicy"): _role_with_policies_then("get_role_policy", PolicyName="inline"),
    ("iam", "DeleteRolePolicy"): _role_with_policies_then(
        "delete_role_policy", PolicyName="inline"
    ),
    ("iam", "ListRolePolicies"): _role_with_policies_then("list_role_policies"),
    ("iam", "TagRole"): _role_then("tag_role", Tags=[{"Key": "a", "Value": "b"}]),
    ("iam", "UntagRole"): _role_then("untag_role", TagKeys=["made-by"]),
    ("iam", "ListRoleTags"): _role_then("list_role_tags"),
    ("iam", "SimulatePrincipalPolicy"): lambda client, _: client.simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::000000000000:role/WindtunnelLocalRole",
        ActionNames=["sagemaker:CreateModel", "s3:*"],
    ),
    ("sts", "AssumeRole"): lambda client, name: client.assume_role(
        RoleArn="arn:aws:iam::000000000000:role/WindtunnelLocalRole", RoleSessionName=name
    ),
    ("sts", "GetCallerIdentity"): lambda client, _: client.get_caller_identity(),
    ("sts", "GetSessionToken"): lambda client, _: client.get_session_token(),
}
