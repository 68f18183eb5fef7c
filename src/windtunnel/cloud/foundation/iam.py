"""IAM's roles: made, described, changed and deleted; they last.

Roles, their policies and tags are kept and given back. **Nothing enforces them**: whoever holds a
key of this home may do everything in it, and every role may be assumed (`sts.py`); a simulation of
what a role may do says just that. There are no users and groups, and no managed policies of one's
own; AWS's managed policies can be attached by their ARN, of which only the form is checked.

Rules: a change is committed first, then answered; whoever changes a role holds its key meanwhile
(`Collection`). The role that the owner appears in is there from the start and cannot be deleted:
SDKs look it up by the name that STS gives them.

Wording: as public threads show it (ansible#22832 and aws-orbit-workbench#633 for deletions).
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from windtunnel.cloud.errors import ConflictError, InvalidError, NotFoundError
from windtunnel.cloud.foundation.callers import OWNER_ROLE_NAME
from windtunnel.cloud.foundation.errors import AttachedError, UnmodifiableError
from windtunnel.cloud.foundation.policies import check_inline_policies, check_trust_policy
from windtunnel.cloud.foundation.roles import DEFAULT_SESSION_S, Role, owner_role
from windtunnel.cloud.paging import Place, page
from windtunnel.cloud.sagemaker.collection import Collection
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.cloud.store.store import Store
from windtunnel.core import limits
from windtunnel.core.clock import Clock

Document = dict[str, Any]
Operation = Callable[[Document], Awaitable[Document]]

_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# "default 100" on every list's MaxItems in botocore's model.
_PAGE_COUNT = 100
# An action's name: `sagemaker:CreateModel`, `s3:*`.
_ACTION = re.compile(r"[\w-]+:[\w*?]+|\*", re.ASCII)
_AWS_POLICY_ARN = re.compile(r"arn:aws:iam::aws:policy/([\w+=,.@/-]*/)?[\w+=,.@-]{1,128}", re.ASCII)
_POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+", re.ASCII)


class Iam:
    """IAM's operations on roles."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._roles: Collection[Role] = Collection(store, "iam-role", Role.from_document)

    @classmethod
    async def open(cls, store: Store, clock: Clock) -> "Iam":
        """Read what the store has; a new home gets its owner's role."""
        iam = cls(store, clock)
        await iam._roles.load()
        if iam._roles.find(OWNER_ROLE_NAME) is None:
            await iam._roles.put(owner_role(clock.now_s()))
        return iam

    def operations(self) -> Mapping[str, Operation]:
        """Return what the API can ask for."""
        return {
            "CreateRole": self.create_role,
            "GetRole": self.get_role,
            "ListRoles": self.list_roles,
            "UpdateRole": self.update_role,
            "UpdateAssumeRolePolicy": self.update_assume_role_policy,
            "DeleteRole": self.delete_role,
            "AttachRolePolicy": self.attach_role_policy,
            "DetachRolePolicy": self.detach_role_policy,
            "ListAttachedRolePolicies": self.list_attached_role_policies,
            "PutRolePolicy": self.put_role_policy,
            "GetRolePolicy": self.get_role_policy,
            "DeleteRolePolicy": self.delete_role_policy,
            "ListRolePolicies": self.list_role_policies,
            "TagRole": self.tag_role,
            "UntagRole": self.untag_role,
            "ListRoleTags": self.list_role_tags,
            "SimulatePrincipalPolicy": self.simulate_principal_policy,
        }

    def find(self, name: str) -> Role | None:
        """Return the role of a name, for who assumes it."""
        return self._roles.find(name)

    # --- roles ------------------------------------------------------------------------------------

    async def create_role(self, request: Document) -> Document:
        """Make a role."""
        name: str = request["role_name"]
        check_trust_policy(request["assume_role_policy_document"])
        role = Role(
            name,
            "AROA" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(17)),
            request.get("path", "/"),
            request["assume_role_policy_document"],
            self._clock.now_s(),
            request.get("description", ""),
            request.get("max_session_duration", DEFAULT_SESSION_S),
            _with_tags({}, request.get("tags") or []),
        )
        await self._roles.create(role, ConflictError(f"Role with name {name} already exists."))
        return {"role": _described(role)}

    async def get_role(self, request: Document) -> Document:
        """Describe a role."""
        return {"role": {**_described(self._role(request)), "role_last_used": {}}}

    async def list_roles(self, request: Document) -> Document:
        """List roles by name; tags are left out, as on AWS."""
        prefix: str = request.get("path_prefix", "/")
        roles = sorted(
            (role for role in self._roles.all() if role.path.startswith(prefix)),
            key=lambda role: role.name,
        )
        return _paged(
            "roles",
            roles,
            lambda role: [role.name],
            lambda role: _described(role, tags=False),
            request,
        )

    async def update_role(self, request: Document) -> Document:
        """Change a role's description and longest session."""
        await self._change(
            request,
            lambda role: replace(
                role,
                description=request.get("description", role.description),
                # "If you do not specify a value for this setting, the default value of one hour is
                # applied" (botocore's page on UpdateRole).
                max_session_s=request.get("max_session_duration", DEFAULT_SESSION_S),
            ),
        )
        return {}

    async def update_assume_role_policy(self, request: Document) -> Document:
        """Replace a role's trust policy."""
        check_trust_policy(request["policy_document"])
        await self._change(
            request, lambda role: replace(role, trust_policy=request["policy_document"])
        )
        return {}

    async def delete_role(self, request: Document) -> Document:
        """Delete a role that has no policies any more."""
        name: str = request["role_name"]
        async with self._roles.held(name):
            role = self._role(request)
            if role.name == OWNER_ROLE_NAME:
                raise UnmodifiableError(
                    f"{OWNER_ROLE_NAME} is what the owner of this local cloud appears as: it can "
                    "be changed and not deleted."
                )
            if role.attached:
                raise AttachedError("Cannot delete entity, must detach all policies first.")
            if role.inline:
                raise AttachedError("Cannot delete entity, must delete policies first.")
            await self._roles.remove(name)
        return {}

    # --- managed policies -------------------------------------------------------------------------

    async def attach_role_policy(self, request: Document) -> Document:
        """Attach one of AWS's managed policies; one that is attached already stays."""
        arn: str = request["policy_arn"]

        def attached(role: Role) -> Role:
            _check_policy_arn(arn)
            if not _AWS_POLICY_ARN.fullmatch(arn):
                raise NotFoundError(f"Policy {arn} does not exist or is not attachable.")
            if arn in role.attached:
                return role
            if len(role.attached) >= limits.ATTACHED_POLICY_COUNT_MAX:
                raise LimitExceededError(
                    f"Cannot exceed quota for PoliciesPerRole: {limits.ATTACHED_POLICY_COUNT_MAX}"
                )
            return replace(role, attached=(*role.attached, arn))

        await self._change(request, attached)
        return {}

    async def detach_role_policy(self, request: Document) -> Document:
        """Detach a managed policy."""
        arn: str = request["policy_arn"]

        def detached(role: Role) -> Role:
            _check_policy_arn(arn)
            if arn not in role.attached:
                raise NotFoundError(f"Policy {arn} was not found.")
            return replace(role, attached=tuple(each for each in role.attached if each != arn))

        await self._change(request, detached)
        return {}

    async def list_attached_role_policies(self, request: Document) -> Document:
        """List the managed policies of a role."""
        prefix: str = request.get("path_prefix", "/")
        arns = sorted(
            arn
            for arn in self._role(request).attached
            if arn.partition(":policy")[2].startswith(prefix)
        )
        return _paged(
            "attached_policies",
            arns,
            lambda arn: [arn],
            lambda arn: {"policy_name": arn.rpartition("/")[2], "policy_arn": arn},
            request,
        )

    # --- inline policies --------------------------------------------------------------------------

    async def put_role_policy(self, request: Document) -> Document:
        """Write an inline policy, whether or not there was one of its name."""
        name: str = request["policy_name"]

        def written(role: Role) -> Role:
            inline = {**role.inline, name: request["policy_document"]}
            check_inline_policies(role.name, inline, name)
            return replace(role, inline=inline)

        await self._change(request, written)
        return {}

    async def get_role_policy(self, request: Document) -> Document:
        """Return an inline policy."""
        role, name = self._role(request), request["policy_name"]
        if name not in role.inline:
            raise _no_inline_policy(name)
        return {
            "role_name": role.name,
            "policy_name": name,
            "policy_document": _encoded(role.inline[name]),
        }

    async def delete_role_policy(self, request: Document) -> Document:
        """Remove an inline policy."""
        name: str = request["policy_name"]

        def removed(role: Role) -> Role:
            if name not in role.inline:
                raise _no_inline_policy(name)
            return replace(
                role, inline={key: each for key, each in role.inline.items() if key != name}
            )

        await self._change(request, removed)
        return {}

    async def list_role_policies(self, request: Document) -> Document:
        """List the names of a role's inline policies."""
        names = sorted(self._role(request).inline)
        return _paged("policy_names", names, lambda name: [name], lambda name: name, request)

    # --- tags -------------------------------------------------------------------------------------

    async def tag_role(self, request: Document) -> Document:
        """Add tags or overwrite their values."""
        await self._change(
            request, lambda role: replace(role, tags=_with_tags(role.tags, request["tags"]))
        )
        return {}

    async def untag_role(self, request: Document) -> Document:
        """Remove tags by their keys; keys that are not there are passed over."""
        keys = {key.lower() for key in request["tag_keys"]}
        await self._change(
            request,
            lambda role: replace(
                role, tags={key: each for key, each in role.tags.items() if key.lower() not in keys}
            ),
        )
        return {}

    async def list_role_tags(self, request: Document) -> Document:
        """List a role's tags."""
        tags = sorted(self._role(request).tags.items())
        return _paged("tags", tags, lambda tag: [tag[0]], _tag, request)

    # --- what a role may do -----------------------------------------------------------------------

    async def simulate_principal_policy(self, request: Document) -> Document:
        """Say what a role may do here: everything, whatever its policies say."""
        arn: str = request["policy_source_arn"]
        role = self._roles.find(arn.rpartition("/")[2])
        if role is None or role.arn != arn:
            raise NotFoundError(f"The principal {arn} cannot be found.")
        actions = sorted(set(request["action_names"]))
        strange = [action for action in actions if not _ACTION.fullmatch(action)]
        if strange:
            raise InvalidError(f"Invalid Input Value: {strange[0]} is no SERVICE:OPERATION.")
        return _paged(
            "evaluation_results",
            actions,
            lambda action: [action],
            lambda action: {
                "eval_action_name": action,
                "eval_resource_name": "*",
                "eval_decision": "allowed",
                "matched_statements": [],
                "missing_context_values": [],
            },
            request,
        )

    # --- what they have in common -----------------------------------------------------------------

    def _role(self, request: Document) -> Role:
        name: str = request["role_name"]
        role = self._roles.find(name)
        if role is None:
            raise NotFoundError(f"The role with name {name} cannot be found.")
        return role

    async def _change(self, request: Document, change: Callable[[Role], Role]) -> None:
        async with self._roles.held(request["role_name"]):
            role = self._role(request)
            changed = change(role)
            if changed != role:
                await self._roles.put(changed)


def _described(role: Role, *, tags: bool = True) -> Document:
    described: Document = {
        "path": role.path,
        "role_name": role.name,
        "role_id": role.id,
        "arn": role.arn,
        "create_date": int(role.created_s),
        "assume_role_policy_document": _encoded(role.trust_policy),
        "max_session_duration": role.max_session_s,
    }
    if role.description:
        described["description"] = role.description
    if tags and role.tags:
        described["tags"] = [_tag(each) for each in role.tags.items()]
    return described


def _encoded(document: str) -> str:
    """Return a policy as IAM's answers hold it: URL-encoded (RFC 3986)."""
    return quote(document, safe="")


def _tag(pair: tuple[str, str]) -> Document:
    return {"key": pair[0], "value": pair[1]}


def _with_tags(tags: Mapping[str, str], added: list[Document]) -> dict[str, str]:
    """Return tags with others added; a key in other letters is the same key."""
    keys = [each["key"].lower() for each in added]
    if len(set(keys)) < len(keys):
        raise InvalidError(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    if any(key.startswith("aws:") for key in keys):
        raise InvalidError("Tag keys that begin with aws: are reserved for AWS.")
    kept = {key: value for key, value in tags.items() if key.lower() not in keys}
    merged = {**kept, **{each["key"]: each["value"] for each in added}}
    if len(merged) > limits.IAM_TAG_COUNT_MAX:
        raise LimitExceededError(
            f"The number of tags has reached the maximum limit: {limits.IAM_TAG_COUNT_MAX}"
        )
    return merged


def _check_policy_arn(arn: str) -> None:
    if not _POLICY_ARN.fullmatch(arn):
        raise InvalidError(f"ARN {arn} is not valid.")


def _no_inline_policy(name: str) -> NotFoundError:
    return NotFoundError(f"The role policy with name {name} cannot be found.")


def _paged(
    key: str,
    items: list[Any],
    place_of: Callable[[Any], Place],
    described: Callable[[Any], Any],
    request: Document,
) -> Document:
    question = {name: part for name, part in request.items() if name not in ("marker", "max_items")}
    listed, marker = page(
        items,
        place_of,
        question=json.dumps([key, question], sort_keys=True),
        token=request.get("marker"),
        size=request.get("max_items", _PAGE_COUNT),
        member="Marker",
    )
    answer: Document = {
        key: [described(item) for item in listed],
        "is_truncated": marker is not None,
    }
    if marker is not None:
        answer["marker"] = marker
    return answer
