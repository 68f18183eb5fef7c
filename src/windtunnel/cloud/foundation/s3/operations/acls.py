"""Operations on access control lists: the canned ones, which is all that is kept."""

import hashlib
import sqlite3
from dataclasses import replace

from windtunnel.cloud.foundation.s3 import rows
from windtunnel.cloud.foundation.s3.answers import Answer, branch, document, leaf
from windtunnel.cloud.foundation.s3.attributes import acl_of
from windtunnel.cloud.foundation.s3.errors import S3Error, not_implemented
from windtunnel.cloud.foundation.s3.operations.call import Call
from windtunnel.core.home import ACCOUNT_ID

# The account's canonical user id: 64 digits that say nothing, the same in every home.
OWNER = hashlib.sha256(ACCOUNT_ID.encode()).hexdigest()
_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
_AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
# What each canned ACL grants beside the owner's FULL_CONTROL (same page as `access.py` names).
# Owner of bucket and object are one here, so the bucket-owner ACLs grant nothing more.
_GRANTS = {
    "public-read": [(_ALL_USERS, "READ")],
    "public-read-write": [(_ALL_USERS, "READ"), (_ALL_USERS, "WRITE")],
    "authenticated-read": [(_AUTHENTICATED_USERS, "READ")],
}


def owner_leaves() -> list[str]:
    """Return the elements of an Owner."""
    return [leaf("ID", OWNER)]


def get_bucket_acl(call: Call) -> Answer:
    """Tell a bucket's grants."""
    name = call.request.bucket
    return _document(
        call.storage.index.read(lambda connection: rows.need_bucket(connection, name)).acl
    )


def get_object_acl(call: Call) -> Answer:
    """Tell an object's grants."""
    bucket, key = call.request.bucket, call.request.key
    found = call.storage.index.read(lambda connection: rows.need_object(connection, bucket, key))
    return _document(found.attributes.acl)


def put_bucket_acl(call: Call) -> Answer:
    """Replace a bucket's ACL by a canned one."""
    acl = _canned(call)
    name = call.request.bucket

    def change(connection: sqlite3.Connection) -> None:
        rows.save_bucket(connection, replace(rows.need_bucket(connection, name), acl=acl))

    call.storage.index.write(change)
    return Answer()


def put_object_acl(call: Call) -> Answer:
    """Replace an object's ACL by a canned one."""
    acl = _canned(call)
    bucket, key = call.request.bucket, call.request.key

    def change(connection: sqlite3.Connection) -> None:
        found = rows.need_object(connection, bucket, key)
        attributes = replace(found.attributes, acl=acl)
        rows.save_object(connection, replace(found, attributes=attributes))

    call.storage.index.write(change)
    return Answer()


def _canned(call: Call) -> str:
    if call.request.header("x-amz-acl") is None:
        if not call.request.body:
            raise S3Error("MissingRequestBodyError")
        raise not_implemented("An ACL of single grants (use a canned one, x-amz-acl)")
    return acl_of(call.request)


def _document(acl: str) -> Answer:
    owner = branch("Owner", *owner_leaves())
    grants = [
        _grant("CanonicalUser", leaf("ID", OWNER), "FULL_CONTROL"),
        *(_grant("Group", leaf("URI", uri), right) for uri, right in _GRANTS.get(acl, ())),
    ]
    return document("AccessControlPolicy", owner, branch("AccessControlList", *grants))


def _grant(kind: str, who: str, right: str) -> str:
    grantee = f'<Grantee xmlns:xsi="{_SCHEMA_INSTANCE}" xsi:type="{kind}">{who}</Grantee>'
    return branch("Grant", grantee, leaf("Permission", right))
