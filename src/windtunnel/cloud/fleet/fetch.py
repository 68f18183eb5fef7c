"""Fetch one model's data from S3 into the home's cache of models: an archive, unpacked, or objects.

`python -I -m windtunnel.cloud.fleet.fetch --socket PATH --bucket B --key K --form F --into DIR`

A process of its own, at low priority, because archives are large, slow and not to be trusted. It
writes one line of JSON to stdout: `{"directory": …, "etag": …, "archive_bytes": …,
"unpacked_bytes": …}`, or `{"reason": …, "is_unusable": …}` for a person to act on. The folder's
name is the digest of the archive's bytes, or of the objects' names and ETags, so equal data shares
one, and a folder of that name is whole: it is made under another name and renamed.
"""

import argparse
import contextlib
import errno
import hashlib
import http.client
import io
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, get_args
from urllib.parse import quote

from windtunnel.cloud.fleet import listing
from windtunnel.cloud.fleet.model_data import Form, ModelDataError
from windtunnel.cloud.foundation.s3 import unix
from windtunnel.core import limits
from windtunnel.core.archive import unpack
from windtunnel.core.archive.contents import ArchiveLimits, UnpackError
from windtunnel.core.lifeline import join_parent

INCOMING_PREFIX = ".incoming-"
# What this process has begun to write, for the signal that ends it.
_incoming: set[Path] = set()
# Below every instance: a fetch must not slow down what already serves.
_NICENESS = 15
_PEEK_BYTES = 512


class _Source(io.RawIOBase):
    """The body of S3's answer, counted and digested as it is read."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        super().__init__()
        self._response = response
        self._head = b""
        self._sha256 = hashlib.sha256()
        self._promised_bytes = response.length
        self.count_bytes = 0

    def peek(self) -> bytes:
        """Return the first bytes without taking them."""
        while len(self._head) < _PEEK_BYTES and (piece := self._response.read(_PEEK_BYTES)):
            self._head += piece
        return self._head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - Buffer has a name since 3.12
        view = memoryview(buffer).cast("B")
        if self._head:
            piece, self._head = self._head[: len(view)], self._head[len(view) :]
            view[: len(piece)] = piece
            count = len(piece)
        else:
            count = self._response.readinto(view)
        self._sha256.update(view[:count])
        self.count_bytes += count
        if count == 0 and self._promised_bytes not in {None, self.count_bytes}:
            raise ModelDataError("S3 ended before the object did")
        return count

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()


def fetch(
    socket_path: str, bucket: str, key: str, form: Form, into: Path, archive_limits: ArchiveLimits
) -> dict[str, str | int]:
    """Bring one model's data into the cache; return where it is, or raise with why it is not."""
    if form == "archive":
        return _fetch_archive(socket_path, bucket, key, into, archive_limits)
    return _fetch_objects(socket_path, bucket, key, form, into, archive_limits)


def _fetch_archive(
    socket_path: str, bucket: str, key: str, into: Path, archive_limits: ArchiveLimits
) -> dict[str, str | int]:
    response = _opened(socket_path, bucket, key)
    source = _Source(response)
    with _making(into) as incoming:
        try:
            unpack.check_kind(source.peek())
            contents = unpack.unpack(io.BufferedReader(source), incoming, archive_limits)
        except UnpackError as error:
            shown = f"s3://{bucket}/{key}"
            raise ModelDataError(
                f"The archive {shown} cannot be used: {error.reason}.", is_unusable=True
            ) from error
        unpack.seal(incoming)
        directory = _place(incoming, into / source.digest)
    return {
        "directory": str(directory),
        "etag": response.headers.get("ETag", ""),
        "archive_bytes": source.count_bytes,
        "unpacked_bytes": contents.size_bytes,
    }


def _fetch_objects(
    socket_path: str, bucket: str, key: str, form: Form, into: Path, archive_limits: ArchiveLimits
) -> dict[str, str | int]:
    """Bring one object, or all behind a prefix, as the files that they are."""
    # An object is the first of all whose keys begin with its own.
    count_max = 0 if form == "object" else archive_limits.member_count_max
    objects = listing.objects(lambda target: _request(socket_path, target), bucket, key, count_max)
    prefix = key
    if form == "object":
        objects = [each for each in objects if each.key == key]
        prefix = key[: key.rfind("/") + 1]
    shown = f"s3://{bucket}/{key}"
    if not objects:
        what = "no object at" if form == "object" else "no object behind"
        raise ModelDataError(f"There is {what} {shown}.")
    try:
        contents, paths = listing.plan(objects, prefix, archive_limits)
    except UnpackError as error:
        raise ModelDataError(
            f"The model data {shown} cannot be used: {error.reason}.", is_unusable=True
        ) from error
    final = into / listing.digest(objects, prefix)
    if not final.is_dir():
        with _making(into) as incoming:
            for each, path in zip(objects, paths, strict=True):
                _write_object(_opened(socket_path, bucket, each.key), incoming.joinpath(*path))
            unpack.seal(incoming)
            _place(incoming, final)
    os.utime(final)
    return {
        "directory": str(final),
        # Another object may come behind a prefix: what there is, is asked each time.
        "etag": "",
        "archive_bytes": contents.size_bytes,
        "unpacked_bytes": contents.size_bytes,
    }


@contextlib.contextmanager
def _making(into: Path) -> Iterator[Path]:
    """Hold a folder in which data is made; it is gone at the end, renamed or removed."""
    incoming = into / f"{INCOMING_PREFIX}{secrets.token_hex(8)}"
    _incoming.add(incoming)
    incoming.mkdir(mode=0o700)
    try:
        yield incoming
    finally:
        unpack.remove(incoming)
        _incoming.discard(incoming)


def _write_object(response: http.client.HTTPResponse, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = _Source(response)
    with path.open("xb") as file:
        shutil.copyfileobj(io.BufferedReader(source), file)
    path.chmod(0o444)


def _opened(socket_path: str, bucket: str, key: str) -> http.client.HTTPResponse:
    shown = f"s3://{bucket}/{key}"
    response = _request(socket_path, f"/{quote(bucket)}/{quote(key, safe='/~')}")
    if response.status == http.client.NOT_FOUND:
        raise ModelDataError(f"There is no object at {shown}.")
    if response.status != http.client.OK:
        raise ModelDataError(f"S3 answered {response.status} {response.reason} for {shown}.")
    return response


def _request(socket_path: str, target: str) -> http.client.HTTPResponse:
    try:
        return unix.ask(socket_path, "GET", target)
    except (FileNotFoundError, ConnectionError) as error:
        raise ModelDataError(f"The local S3 does not answer ({error}).") from error


def _place(incoming: Path, directory: Path) -> Path:
    # The folder is trusted by its name for as long as the home lives, power cuts included. One
    # sync of everything: one for each file took half a minute for an archive of many.
    os.sync()
    try:
        incoming.rename(directory)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        # The same archive came before: its folder serves. It was used now, which keeps it longer.
        os.utime(directory)
    descriptor = os.open(directory.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return directory


def _give_up(number: int, _: FrameType | None) -> None:
    """Leave nothing half-unpacked and end.

    At once, not by an exception: one raised inside a finaliser would be lost, and the signal too.
    """
    for folder in _incoming:
        unpack.remove(folder)
    os._exit(128 + number)


def _explain(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The disk of the home is full: there is no room to unpack the model data."
    if isinstance(error, TimeoutError):
        return (
            f"The local S3 sent nothing for {limits.MODEL_DATA_STALL_TIMEOUT_S:.0f} s "
            "while the model data was fetched."
        )
    return f"The model data could not be fetched: {error}."


def main() -> int:
    """Fetch what the arguments name; print the one line that says what came of it."""
    parser = argparse.ArgumentParser(prog="windtunnel.cloud.fleet.fetch")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--form", choices=get_args(Form), default="archive")
    parser.add_argument("--into", type=Path, required=True)
    standard = ArchiveLimits()
    parser.add_argument("--unpacked-bytes-max", type=int, default=standard.unpacked_bytes_max)
    parser.add_argument("--member-count-max", type=int, default=standard.member_count_max)
    options = parser.parse_args()

    join_parent()
    os.nice(_NICENESS)
    signal.signal(signal.SIGTERM, _give_up)
    archive_limits = ArchiveLimits(options.unpacked_bytes_max, options.member_count_max)
    result: dict[str, str | int]
    try:
        result = fetch(
            options.socket,
            options.bucket,
            options.key,
            options.form,
            options.into,
            archive_limits,
        )
    except ModelDataError as error:
        result = {"reason": error.reason, "is_unusable": error.is_unusable}
    except OSError as error:
        result = {"reason": _explain(error), "is_unusable": False}
    except http.client.HTTPException as error:
        reason = f"The local S3 broke off the transfer ({type(error).__name__})."
        result = {"reason": reason, "is_unusable": False}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
