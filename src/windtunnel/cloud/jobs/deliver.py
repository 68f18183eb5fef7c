"""Put a job's files into S3, one after the other, and digest the last.

`python -I -m windtunnel.cloud.jobs.deliver --socket PATH --bucket B KEY PATH [KEY PATH]…`

A process of its own, at low priority, because archives are large. Each object appears whole or not
at all; when one cannot be written, those before it are removed, so that reports never lie beside an
archive that is not there. It writes one line of JSON to stdout: `{"digest": …}`, the BLAKE2b of the
last file, or `{"reason": …}` for a person to act on.
"""

import argparse
import hashlib
import http.client
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import quote

from windtunnel.cloud.foundation.s3 import unix
from windtunnel.core.lifeline import join_parent

# Below every instance, as the fetcher.
_NICENESS = 15
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")


class DeliveryError(Exception):
    """An object that S3 did not take, with its reason."""


def deliver(socket_path: str, bucket: str, files: Sequence[tuple[str, Path]]) -> str:
    """Write every file to its key; return the digest of the last, or leave nothing behind."""
    written: list[str] = []
    try:
        for key, path in files:
            _put(socket_path, f"/{quote(bucket)}/{quote(key, safe='/~')}", path)
            written.append(key)
    except BaseException:
        for key in written:
            unix.ask(socket_path, "DELETE", f"/{quote(bucket)}/{quote(key, safe='/~')}")
        raise
    with files[-1][1].open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _put(socket_path: str, target: str, path: Path) -> None:
    def opened() -> tuple[IO[bytes], int]:
        return path.open("rb"), path.stat().st_size

    response = unix.ask(socket_path, "PUT", target, body=opened)
    said = _MESSAGE.search(response.read())
    if response.status != http.client.OK:
        reason = response.reason if said is None else said[1].decode(errors="replace")
        raise DeliveryError(f"S3 answered {response.status} ({reason})")


def main() -> int:
    """Deliver what the arguments name; print the one line that says what came of it."""
    parser = argparse.ArgumentParser(prog="windtunnel.cloud.jobs.deliver")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()

    join_parent()
    os.nice(_NICENESS)
    names: list[str] = options.files
    files = [(key, Path(path)) for key, path in zip(names[::2], names[1::2], strict=True)]
    try:
        result = {"digest": deliver(options.socket, options.bucket, files)}
    except DeliveryError as error:
        result = {"reason": str(error)}
    except (OSError, http.client.HTTPException) as error:
        result = {"reason": f"the local S3 broke off the transfer ({error})"}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
