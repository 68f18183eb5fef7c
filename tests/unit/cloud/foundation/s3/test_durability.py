"""What is left after the worst: kill -9, a full disk, a second process."""

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

MIB = 1024 * 1024


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9(own_s3: Any) -> None:
    """Killed in the middle of uploads from several clients, some in parts."""
    own_s3.start()
    s3 = own_s3.client()
    s3.create_bucket(Bucket="bucket")
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    part = s3.upload_part(
        Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=b"a part"
    )
    acknowledged: dict[str, bytes] = {}
    enough = threading.Event()

    def write(worker: int) -> None:
        client = own_s3.client()
        try:
            for number in range(1000):
                key = f"{worker}/{number % 7}"
                body = os.urandom(8) * (number * 1000 + 1)
                client.put_object(Bucket="bucket", Key=key, Body=body)
                acknowledged[key] = body
                if len(acknowledged) > 20 and number > 8:
                    enough.set()
        except (BotoCoreError, ClientError):
            pass

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for writer in writers:
        writer.start()
    # And one that never ends.
    unfinished = own_s3.connect()
    unfinished.sendall(b"PUT /bucket/half HTTP/1.1\r\nHost: s3\r\nContent-Length: 9000000\r\n\r\n")
    unfinished.sendall(b"x" * 3_000_000)
    assert enough.wait(60)
    own_s3.end(signal.SIGKILL)
    for writer in writers:
        writer.join()
    unfinished.close()
    own_s3.start()

    for key, body in acknowledged.items():
        found = s3.get_object(Bucket="bucket", Key=key)["Body"].read()
        # A replacement that was on its way may have made it; it is then whole.
        assert found == body or (len(found) > len(body) and found == found[:8] * (len(found) // 8))
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="bucket", Key="half")
    named = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(
        Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload=named
    )
    assert s3.get_object(Bucket="bucket", Key="parts")["Body"].read() == b"a part"
    # Swept: one file an object, nothing of what was on its way.
    assert len(own_s3.blobs) == s3.list_objects_v2(Bucket="bucket")["KeyCount"]


@pytest.mark.slow
def test_a_full_disk_is_a_clear_error_and_loses_nothing(own_s3: Any) -> None:
    """The upload that does not fit fails; what was stored stays, and small things still fit."""
    # A limit on file sizes stands in for the disk: the same failed write, without filling one.
    limit = 8 * MIB
    own_s3.start(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    s3 = own_s3.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="kept", Body=b"k" * MIB)
    with pytest.raises(ClientError) as full:
        s3.put_object(Bucket="bucket", Key="large", Body=b"l" * (limit + 1))
    answer = full.value.response

    assert answer["Error"]["Code"] == "InsufficientStorage"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 507
    assert s3.get_object(Bucket="bucket", Key="kept")["Body"].read() == b"k" * MIB
    assert len(own_s3.blobs) == 1
    s3.put_object(Bucket="bucket", Key="small", Body=b"s")
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="bucket")["Contents"]] == [
        "kept",
        "small",
    ]


@pytest.mark.slow
def test_a_reader_gets_the_object_it_began_with(own_s3: Any) -> None:
    """A model that is replaced while an endpoint downloads it must not be half of each."""
    own_s3.start()
    s3 = own_s3.client()
    s3.create_bucket(Bucket="bucket")
    old = b"old." * (8 * MIB)
    s3.put_object(Bucket="bucket", Key="k", Body=old)
    reading = s3.get_object(Bucket="bucket", Key="k")["Body"]
    begun = reading.read(1000)
    s3.put_object(Bucket="bucket", Key="k", Body=b"new")
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"new"

    assert begun + reading.read() == old


@pytest.mark.slow
def test_two_processes_never_share_a_store(own_s3: Any, tmp_path: Path) -> None:
    """Two writers of one index would lose each other's objects."""
    own_s3.start()
    arguments = ["--root", str(own_s3.root), "--socket", str(tmp_path / "other")]
    second = subprocess.run(
        [sys.executable, "-m", "windtunnel.cloud.foundation.s3", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert second.returncode == 1
    assert "in use by another process" in second.stderr


@pytest.mark.slow
def test_sigterm_ends_it_after_the_answers_in_flight(own_s3: Any) -> None:
    """`up` ends with 0 and without losing what it was asked."""
    own_s3.start()
    own_s3.client().create_bucket(Bucket="bucket")
    with own_s3.connect() as idle, own_s3.connect() as busy:
        # It says "continue" once it has taken the request: before that nothing was asked.
        busy.sendall(
            b"PUT /bucket/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert busy.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        busy.sendall(b"x")
        own_s3.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        busy.sendall(b"y")
        assert busy.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert own_s3.process.wait(30) == 0
    assert not own_s3.socket.exists()
    own_s3.start()

    assert own_s3.client().get_object(Bucket="bucket", Key="k")["Body"].read() == b"xy"


@pytest.mark.slow
def test_it_ends_when_its_parent_is_gone(own_s3: Any) -> None:
    """Its lifeline's other end closes, however the parent died."""
    module = "windtunnel.cloud.foundation.s3"
    own_s3.root.mkdir()
    lifeline, held = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--root", str(own_s3.root), "--socket", str(own_s3.socket)],
        env={**os.environ, "WINDTUNNEL_LIFELINE_FD": str(lifeline)},
        pass_fds=(lifeline,),
    )
    try:
        os.close(lifeline)
        own_s3.wait_until(own_s3.is_reachable)
        os.close(held)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_nobody_else_can_reach_the_store(own_s3: Any) -> None:
    """The process trusts whoever connects: so nobody else may."""
    own_s3.start()
    modes = [path.stat().st_mode & 0o077 for path in (own_s3.root, own_s3.socket)]

    assert modes == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 3 * MIB])
def test_lost_bytes_are_an_error_and_not_an_answer(own_s3: Any, size: int) -> None:
    """Somebody deleted a file of the home: that object is broken, everything else works."""
    own_s3.start()
    s3 = own_s3.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="lost", Body=b"x" * size)
    for path in own_s3.blobs:
        path.unlink()
    s3.put_object(Bucket="bucket", Key="fine", Body=b"fine")
    with pytest.raises(ClientError) as failed:
        s3.get_object(Bucket="bucket", Key="lost")

    assert failed.value.response["Error"]["Code"] == "InternalError"
    assert s3.get_object(Bucket="bucket", Key="fine")["Body"].read() == b"fine"
    s3.put_object(Bucket="bucket", Key="lost", Body=b"found")
    assert s3.get_object(Bucket="bucket", Key="lost")["Body"].read() == b"found"
