"""The bucket that a model's archive goes to, and the archive's way there.

Without a name it is the SageMaker SDKs' own default bucket. Its name can be guessed, so S3 is told
whose it must be; one that is missing is made, and stays when everything else goes.
"""

import time
from pathlib import Path
from typing import Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.lab import names, ownership, refusals
from windtunnel.lab.target import Target

# What S3 says when somebody else made the same bucket of ours a moment ago.
_ALREADY_OURS = frozenset({"BucketAlreadyOwnedByYou", "OperationAborted"})


class Bucket:
    """Where one deployment's archive goes."""

    def __init__(self, target: Target, named: str | None) -> None:
        self.name = named or ownership.default_bucket(target.region, target.account)
        self.is_missing = False
        self._target = target
        self._is_named = named is not None
        self._client = target.s3()

    def find(self) -> None:
        """See that it is there and the caller's to use, or that it can be made."""
        owner = {} if self._is_named else {"ExpectedBucketOwner": self._target.account}
        with refusals.explained(f"bucket {self.name}"):
            try:
                self._client.head_bucket(Bucket=self.name, **owner)
            except ClientError as error:
                if refusals.is_denied(error):
                    raise UsageError(
                        f"Bucket {self.name} belongs to somebody else, or the caller may not use "
                        "it: name another with --bucket."
                    ) from error
                if not refusals.is_missing(error):
                    raise
                if self._is_named:
                    raise UsageError(
                        f"There is no bucket {self.name}: make it first, or leave --bucket out."
                    ) from error
                self.is_missing = True

    def make(self) -> None:
        """Make it where it is missing."""
        region = self._target.region
        # S3 refuses a location constraint that names its first region.
        words: dict[str, Any] = (
            {}
            if region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        with refusals.explained(f"bucket {self.name}"):
            try:
                self._client.create_bucket(Bucket=self.name, **words)
            except ClientError as error:
                if refusals.code_of(error) not in _ALREADY_OURS:
                    raise
        self.is_missing = False

    def key_for(self, endpoint_name: str, archive: Path) -> str:
        """Return a key that no other upload has."""
        unique = names.unique("", now_s=time.time())
        return f"{ownership.OBJECT_PREFIX}{endpoint_name}/{unique}/{archive.name}"

    def upload(self, archive: Path, key: str) -> None:
        """Upload an archive, marked as ours."""
        url = f"s3://{self.name}/{key}"
        with refusals.explained(f"the upload to {url}"):
            try:
                self._client.upload_file(
                    str(archive), self.name, key, ExtraArgs={"Metadata": ownership.OBJECT_METADATA}
                )
            except S3UploadFailedError as error:
                raise NotReadyError(f"The upload to {url} failed: {error}") from error
