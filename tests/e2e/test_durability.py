"""What was acknowledged is there after the worst, and nothing is left running."""

import os
import signal
import time
import uuid
from pathlib import Path

import psutil
import pytest
from tests import processes
from tests.e2e.play import IMAGE, ROLE, Maker, client_of, invoke

from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.cloud]


def marked(home: Home) -> list[int]:
    """Return the processes that carry a home's mark, the cloud's own not among them."""
    return [process.pid for process in processes.marked(f"{home.id}:")]


def wait_until_none(home: Home) -> None:
    deadline_s = time.monotonic() + 20
    while left := marked(home):
        assert time.monotonic() < deadline_s, f"still running: {left}"
        time.sleep(0.05)


def wait_for_status(cloud: CloudProcess, name: str, wanted: str) -> list[str]:
    """Return the statuses that were seen until the wanted one."""
    seen: list[str] = []
    sagemaker = client_of(cloud, "sagemaker")
    deadline_s = time.monotonic() + 90
    while not seen or seen[-1] != wanted:
        assert time.monotonic() < deadline_s, seen
        status = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        if not seen or seen[-1] != status:
            seen.append(status)
        time.sleep(0.02)
    return seen


def test_kill_9_loses_nothing_that_was_acknowledged_and_leaves_nothing_running(
    tmp_path: Path, archives: Path
) -> None:
    """After a power cut the endpoints come back by themselves, and their objects with them."""
    home = Home(tmp_path / "home")
    with running_cloud(home, log=tmp_path / "first.log") as cloud:
        s3 = client_of(cloud, "s3")
        bucket = f"b-{uuid.uuid4().hex}"
        s3.create_bucket(Bucket=bucket)
        maker = Maker(lambda service: client_of(cloud, service), bucket)
        name = maker.tensorflow(archives / "half_plus_two.tar.gz")
        s3.put_object(Bucket=bucket, Key="last", Body=b"acknowledged")
        client_of(cloud, "sagemaker").create_model(
            ModelName="last",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/last"},
        )
        assert marked(home)
        os.kill(cloud.process.pid, signal.SIGKILL)
        cloud.process.wait()
        wait_until_none(home)

    with running_cloud(home, log=tmp_path / "second.log") as cloud:
        assert (
            client_of(cloud, "s3").get_object(Bucket=bucket, Key="last")["Body"].read()
            == b"acknowledged"
        )
        sagemaker = client_of(cloud, "sagemaker")
        assert sagemaker.describe_model(ModelName="last")["PrimaryContainer"]["Image"] == IMAGE
        seen = wait_for_status(cloud, name, "InService")
        # InService is said again only when an instance answers.
        assert seen in (["SystemUpdating", "InService"], ["InService"])
        assert invoke(lambda service: client_of(cloud, service), name, {"instances": [2.0]}) == {
            "predictions": [3.0]
        }
    wait_until_none(home)


def test_a_crashed_model_server_comes_back(
    cloud: CloudProcess, make: Maker, archives: Path
) -> None:
    """One crash costs its requests an error, not the endpoint its life."""
    name = make.tensorflow(archives / "half_plus_two.tar.gz")
    client = make.client
    before = {process.pid for process in psutil.Process(cloud.process.pid).children(recursive=True)}
    assert invoke(client, name, {"instances": [0.0]}) == {"predictions": [2.0]}
    # The model server is the youngest process of the instance.
    youngest = max(before, key=lambda pid: psutil.Process(pid).create_time())
    os.kill(youngest, signal.SIGKILL)
    deadline_s = time.monotonic() + 30
    while True:
        assert time.monotonic() < deadline_s, "the killed model server is still there"
        try:
            assert invoke(client, name, {"instances": [0.0]}) == {"predictions": [2.0]}
        except client("sagemaker-runtime").exceptions.ClientError:
            time.sleep(0.05)
        else:
            alive = {
                each.pid for each in psutil.Process(cloud.process.pid).children(recursive=True)
            }
            if youngest not in alive:
                break


def s3_processes(cloud: CloudProcess) -> list[int]:
    """Return the S3 processes of a cloud."""
    found = processes.below(cloud.process.pid, "windtunnel.cloud.foundation.s3")
    return [each.pid for each in found]


def test_a_killed_s3_process_comes_back_with_everything(cloud: CloudProcess, make: Maker) -> None:
    """A crash of one part is a few failed requests, not the end of the cloud."""
    s3 = make.client("s3")
    s3.put_object(Bucket=make.bucket, Key="kept", Body=b"kept")
    [first] = s3_processes(cloud)
    os.kill(first, signal.SIGKILL)
    deadline_s = time.monotonic() + 30
    while True:
        try:
            body = s3.get_object(Bucket=make.bucket, Key="kept")["Body"].read()
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ServiceUnavailable":
                raise
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        else:
            break

    assert body == b"kept"
    assert s3_processes(cloud) != [first]
