"""Operations on buckets."""

import base64
import sqlite3
from dataclasses import replace

from windtunnel.cloud.foundation.s3 import documents, rows
from windtunnel.cloud.foundation.s3.answers import (
    Answer,
    branch,
    document,
    iso_date,
    leaf,
)
from windtunnel.cloud.foundation.s3.attributes import acl_of
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.names import check_bucket_name
from windtunnel.cloud.foundation.s3.operations.acls import owner_leaves
from windtunnel.cloud.foundation.s3.operations.call import Call
from windtunnel.cloud.foundation.s3.records import Bucket
from windtunnel.core import limits

# Buckets made here have no LocationConstraint; asking for this one by name is an error.
_DEFAULT_REGION = "us-east-1"


def list_buckets(call: Call) -> Answer:
    """List the buckets."""
    request = call.request
    limit = request.integer(
        "max-buckets", limits.S3_BUCKET_COUNT_MAX, least=1, most=limits.S3_BUCKET_COUNT_MAX
    )
    prefix, region = request.query.get("prefix", ""), request.query.get("bucket-region", "")
    after = base64.urlsafe_b64decode(request.query.get("continuation-token", "")).decode()
    known = call.storage.index.read(
        lambda connection: rows.list_buckets(connection, after, limits.S3_BUCKET_COUNT_MAX)
    )
    wanted = [
        bucket
        for bucket in known
        if bucket.name.startswith(prefix) and region in ("", bucket.region)
    ]
    shown = wanted[:limit]
    more = []
    if len(wanted) > limit:
        token = base64.urlsafe_b64encode(shown[-1].name.encode()).decode()
        more.append(leaf("ContinuationToken", token))
    if prefix:
        more.append(leaf("Prefix", prefix))
    return document(
        "ListAllMyBucketsResult",
        branch("Owner", *owner_leaves()),
        branch("Buckets", *(_bucket(bucket) for bucket in shown)),
        *more,
    )


def _bucket(bucket: Bucket) -> str:
    return branch(
        "Bucket",
        leaf("Name", bucket.name),
        leaf("CreationDate", iso_date(bucket.created_s)),
        leaf("BucketRegion", bucket.region),
    )


def create_bucket(call: Call) -> Answer:
    """Make a bucket; in us-east-1 making one's own again is no error."""
    request, name = call.request, call.request.bucket
    check_bucket_name(name)
    region = _region_of(documents.read_location(request.body), request.region)
    tags = documents.check_tags(
        documents.read_bucket_tags(request.body), count_max=limits.S3_BUCKET_TAG_COUNT_MAX
    )
    made = Bucket(name, call.storage.clock.now_s(), region, acl_of(request), tags)

    def change(connection: sqlite3.Connection) -> None:
        present = rows.find_bucket(connection, name)
        if present is None:
            count = len(rows.list_buckets(connection, "", limits.S3_BUCKET_COUNT_MAX))
            if count >= limits.S3_BUCKET_COUNT_MAX:
                raise S3Error("TooManyBuckets")
            rows.save_bucket(connection, made)
        elif not present.region == region == _DEFAULT_REGION:
            raise S3Error("BucketAlreadyOwnedByYou", BucketName=name)
        else:
            # "it also resets the bucket's access control lists" (CreateBucket, API Reference).
            rows.save_bucket(connection, replace(present, acl=made.acl))

    call.storage.index.write(change)
    return Answer(headers=[("location", f"/{name}")])


def _region_of(constraint: str, endpoint: str) -> str:
    """Return where a bucket is made: where its constraint says, if this endpoint can do that."""
    if constraint == _DEFAULT_REGION:
        raise S3Error("InvalidLocationConstraint", LocationConstraint=constraint)
    # "EU" is what eu-west-1 was called when there was one region in Europe.
    region = {"": _DEFAULT_REGION, "EU": "eu-west-1"}.get(constraint, constraint)
    if endpoint not in (_DEFAULT_REGION, region):
        named = constraint or "unspecified"
        raise S3Error(
            "IllegalLocationConstraintException",
            f"The {named} location constraint is incompatible for the region specific endpoint "
            "this request was sent to.",
        )
    return region


def head_bucket(call: Call) -> Answer:
    """Say whether a bucket is there, and where."""
    bucket = _need_bucket(call)
    return Answer(
        headers=[
            ("content-type", "application/xml"),
            ("x-amz-bucket-region", bucket.region),
            ("x-amz-bucket-arn", f"arn:aws:s3:::{bucket.name}"),
            ("x-amz-access-point-alias", "false"),
        ]
    )


def delete_bucket(call: Call) -> Answer:
    """Remove an empty bucket; unfinished uploads go with it."""
    name = call.request.bucket
    call.storage.change(lambda connection: (None, rows.delete_bucket(connection, name)))
    return Answer(status=204)


def get_bucket_location(call: Call) -> Answer:
    """Tell a bucket's region, by an empty element where it is us-east-1."""
    region = _need_bucket(call).region
    return document("LocationConstraint", "" if region == _DEFAULT_REGION else region)


def get_bucket_versioning(call: Call) -> Answer:
    """Tell that versioning was never switched on."""
    _need_bucket(call)
    return document("VersioningConfiguration")


def get_bucket_tagging(call: Call) -> Answer:
    """Tell a bucket's tags."""
    bucket = _need_bucket(call)
    if not bucket.tags:
        raise S3Error("NoSuchTagSet", BucketName=bucket.name)
    return tagging_document(bucket.tags)


def put_bucket_tagging(call: Call) -> Answer:
    """Replace a bucket's tags."""
    tags = documents.read_tagging(call.request.body, count_max=limits.S3_BUCKET_TAG_COUNT_MAX)
    _change_bucket(call, tags=tags)
    return Answer(status=204)


def delete_bucket_tagging(call: Call) -> Answer:
    """Remove a bucket's tags."""
    _change_bucket(call, tags=())
    return Answer(status=204)


def tagging_document(tags: tuple[tuple[str, str], ...]) -> Answer:
    """Return the document that tells tags."""
    return document(
        "Tagging",
        branch(
            "TagSet",
            *(branch("Tag", leaf("Key", name), leaf("Value", value)) for name, value in tags),
        ),
    )


def _need_bucket(call: Call) -> Bucket:
    name = call.request.bucket
    return call.storage.index.read(lambda connection: rows.need_bucket(connection, name))


def _change_bucket(call: Call, **changes: object) -> None:
    name = call.request.bucket

    def change(connection: sqlite3.Connection) -> None:
        bucket = rows.need_bucket(connection, name)
        rows.save_bucket(connection, replace(bucket, **changes))  # type: ignore[arg-type]

    call.storage.index.write(change)
