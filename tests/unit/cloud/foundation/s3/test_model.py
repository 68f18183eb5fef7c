"""The store against a dictionary, whatever is done in whatever order."""

import functools
import hashlib
import os
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

# What entity tags are made of.
md5 = functools.partial(hashlib.md5, usedforsecurity=False)

KEYS = st.sampled_from(["a", "a/b", "a/c/d", "b", "..", "é", "a/", "😀"])
BODIES = st.binary(max_size=40)


class Store(RuleBasedStateMachine):
    """Objects and uploads: what S3 must hold is what the dictionaries hold."""

    s3: ClassVar[Any]

    @initialize()
    def begin(self) -> None:
        self.bucket = f"bucket-{os.urandom(6).hex()}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.uploads: dict[str, tuple[str, dict[int, bytes]]] = {}

    @rule(key=KEYS, body=BODIES)
    def put(self, key: str, body: bytes) -> None:
        etag = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)["ETag"]
        assert etag == f'"{md5(body).hexdigest()}"'
        self.objects[key] = (body, etag)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        if key not in self.objects:
            with pytest.raises(ClientError, match="NoSuchKey"):
                self.s3.get_object(Bucket=self.bucket, Key=key)
            return
        answer = self.s3.get_object(Bucket=self.bucket, Key=key)
        assert (answer["Body"].read(), answer["ETag"]) == self.objects[key]

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.objects.pop(key, None)

    @rule(keys=st.sets(KEYS, min_size=1))
    def delete_many(self, keys: set[str]) -> None:
        named = {"Objects": [{"Key": key} for key in keys]}
        self.s3.delete_objects(Bucket=self.bucket, Delete=named)
        for key in keys:
            self.objects.pop(key, None)

    @rule(source=KEYS, key=KEYS)
    def copy(self, source: str, key: str) -> None:
        named = {"Bucket": self.bucket, "Key": source}
        if source not in self.objects or source == key:
            code = "InvalidRequest" if source in self.objects else "NoSuchKey"
            with pytest.raises(ClientError, match=code):
                self.s3.copy_object(Bucket=self.bucket, Key=key, CopySource=named)
            return
        self.s3.copy_object(Bucket=self.bucket, Key=key, CopySource=named)
        body = self.objects[source][0]
        self.objects[key] = (body, f'"{md5(body).hexdigest()}"')

    @rule(key=KEYS)
    def begin_upload(self, key: str) -> None:
        answer = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)
        self.uploads[answer["UploadId"]] = (key, {})

    @rule(number=st.integers(1, 3), body=BODIES, data=st.data())
    def upload_part(self, number: int, body: bytes, data: st.DataObject) -> None:
        if self.uploads:
            upload = data.draw(st.sampled_from(sorted(self.uploads)))
            key, parts = self.uploads[upload]
            self.s3.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body
            )
            parts[number] = body

    @rule(is_kept=st.booleans(), data=st.data())
    def end_upload(self, *, is_kept: bool, data: st.DataObject) -> None:
        if not self.uploads:
            return
        upload = data.draw(st.sampled_from(sorted(self.uploads)))
        key, parts = self.uploads.pop(upload)
        names = {"Bucket": self.bucket, "Key": key, "UploadId": upload}
        if not is_kept or not parts:
            self.s3.abort_multipart_upload(**names)
            return
        # All parts but the last have a least size, so only the last is taken here.
        number, body = max(parts.items())
        etag = f'"{md5(body).hexdigest()}"'
        answer = self.s3.complete_multipart_upload(
            **names, MultipartUpload={"Parts": [{"PartNumber": number, "ETag": etag}]}
        )
        expected = md5(md5(body).digest()).hexdigest()
        assert answer["ETag"] == f'"{expected}-1"'
        self.objects[key] = (body, answer["ETag"])

    @invariant()
    def lists_what_there_is(self) -> None:
        listed = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        told = [(found["Key"], found["Size"], found["ETag"]) for found in listed]
        assert told == [
            (key, len(self.objects[key][0]), self.objects[key][1])
            for key in sorted(self.objects, key=str.encode)
        ]

    def teardown(self) -> None:
        for upload, (key, _) in self.uploads.items():
            self.s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        for key in self.objects:
            self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.s3.delete_bucket(Bucket=self.bucket)


@pytest.mark.slow
def test_the_store_holds_what_a_dictionary_would(shared_s3: Any) -> None:
    """Any order of puts, copies, deletions and uploads; and at the end no byte is left over."""
    before = set(shared_s3.blobs)
    Store.s3 = shared_s3.client()
    run_state_machine_as_test(
        Store,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
        ),
    )

    assert set(shared_s3.blobs) == before
