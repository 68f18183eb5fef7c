"""Operations on objects' tags."""

import sqlite3
from dataclasses import replace

from windtunnel.cloud.foundation.s3 import documents, rows
from windtunnel.cloud.foundation.s3.answers import Answer
from windtunnel.cloud.foundation.s3.operations.buckets import tagging_document
from windtunnel.cloud.foundation.s3.operations.call import Call
from windtunnel.cloud.foundation.s3.records import Tags
from windtunnel.core import limits


def get_object_tagging(call: Call) -> Answer:
    """Tell an object's tags."""
    bucket, key = call.request.bucket, call.request.key
    found = call.storage.index.read(lambda connection: rows.need_object(connection, bucket, key))
    return tagging_document(found.attributes.tags)


def put_object_tagging(call: Call) -> Answer:
    """Replace an object's tags."""
    _change(
        call,
        documents.read_tagging(call.request.body, count_max=limits.S3_OBJECT_TAG_COUNT_MAX),
    )
    return Answer()


def delete_object_tagging(call: Call) -> Answer:
    """Remove an object's tags."""
    _change(call, ())
    return Answer(status=204)


def _change(call: Call, tags: Tags) -> None:
    bucket, key = call.request.bucket, call.request.key

    def change(connection: sqlite3.Connection) -> None:
        found = rows.need_object(connection, bucket, key)
        attributes = replace(found.attributes, tags=tags)
        rows.save_object(connection, replace(found, attributes=attributes))

    call.storage.index.write(change)
