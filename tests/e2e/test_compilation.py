"""Compilation jobs with the real compiler, as boto3 code written for AWS asks for them."""

import io
import json
import tarfile
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.play import ROLE, Client, Maker, client_of, invoke

from windtunnel.cli.cloud_process import running_cloud
from windtunnel.core.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

PATIENCE_S = 240
BLACK = [[[[0, 0, 0]] * 8] * 8]
RAMP = [[[[8 * x, 8 * y, x * y] for x in range(8)] for y in range(8)]]


def compile_model(client: Client, url: str, shape: dict[str, Any], **more: Any) -> str:
    """Create a job for a model in S3; return its name."""
    name = f"j-{uuid.uuid4().hex[:10]}"
    bucket = url.split("/")[2]
    client("sagemaker").create_compilation_job(
        CompilationJobName=name,
        RoleArn=ROLE,
        InputConfig={
            "S3Uri": url,
            "DataInputConfig": json.dumps(shape),
            "Framework": "TENSORFLOW",
            "FrameworkVersion": "2.9",
        },
        OutputConfig={
            "S3OutputLocation": f"s3://{bucket}/{name}",
            "TargetDevice": "ml_g4dn",
            **more,
        },
        StoppingCondition={"MaxRuntimeInSeconds": 900},
    )
    return name


def wait(client: Client, name: str, *statuses: str) -> Any:
    """Wait until a job is in one of these states; return its description."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        job = client("sagemaker").describe_compilation_job(CompilationJobName=name)
        if job["CompilationJobStatus"] in statuses:
            return job
        assert time.monotonic() < deadline_s, job
        time.sleep(0.1)


def ended(client: Client, name: str) -> Any:
    """Wait until a job has ended; return its description."""
    return wait(client, name, "COMPLETED", "FAILED", "STOPPED")


def keys(client: Client, bucket: str, prefix: str) -> set[str]:
    """Return the names of what lies behind a prefix, uploads that are not finished too."""
    s3 = client("s3")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    return {each["Key"].rpartition("/")[2] for each in (*found, *uploads)}


def test_a_compiled_model_answers_as_the_model_and_other_shapes_too(
    client: Client, make: Maker, archives: Path, tiny_conv: str
) -> None:
    """The workshop compiles for 224 pixels, and sends pictures of 256."""
    url = make.upload(archives / "tiny_conv.tar.gz")
    name = compile_model(client, url, {"inputs": [1, 6, 6, 3]})
    job = ended(client, name)
    assert job["CompilationJobStatus"] == "COMPLETED", job["FailureReason"]
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact == f"s3://{make.bucket}/{name}/model-ml_g4dn.tar.gz"
    assert keys(client, make.bucket, name) == {
        "model-ml_g4dn.tar.gz",
        "model-ml_g4dn.report.json",
        "model-ml_g4dn.report.html",
    }
    body = client("s3").get_object(Bucket=make.bucket, Key=artifact.split("/", 3)[3])["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        members = {Path(member).name for member in archive.getnames()}
    # Neo has handed back the model that it could not compile (neo-ai-dlr#73).
    assert "saved_model.pb" not in members
    assert "windtunnel.json" in members
    assert json.loads(job["DerivedInformation"]["DerivedDataInputConfig"])["inputs"]

    endpoint = make.endpoint(
        {"Image": job["InferenceImage"], "ModelDataUrl": artifact}, instance_type="ml.g4dn.xlarge"
    )
    for picture in (BLACK, RAMP):
        ours = invoke(client, endpoint, {"instances": picture})["predictions"]
        theirs = invoke(client, tiny_conv, {"instances": picture})["predictions"]
        assert ours[0] == [[pytest.approx(pixel, abs=1e-3) for pixel in row] for row in theirs[0]]


def test_a_job_for_an_input_that_the_model_has_not_says_which_it_has(
    client: Client, make: Maker, archives: Path
) -> None:
    """Neo's "incompatible model" sends people to guess (amazon-sagemaker-examples#1037)."""
    url = make.upload(archives / "tiny_conv.tar.gz")
    name = compile_model(client, url, {"image": [1, 8, 8, 3]})
    job = ended(client, name)

    assert job["CompilationJobStatus"] == "FAILED"
    assert job["FailureReason"].startswith("ClientError: ")
    assert "image" in job["FailureReason"]
    assert "inputs" in job["FailureReason"]
    assert keys(client, make.bucket, name) == set()
    group, stream = "/aws/sagemaker/CompilationJobs", name
    said = client("logs").get_log_events(logGroupName=group, logStreamName=stream)["events"]
    assert job["FailureReason"] in said[-1]["message"]


def test_what_is_no_model_fails_the_job_with_a_reason(client: Client, make: Maker) -> None:
    """An archive that was cut short on its way up is a common mistake."""
    name = compile_model(client, make.upload(b"\x1f\x8b not gzip"), {"inputs": [1, 8, 8, 3]})
    job = ended(client, name)

    assert job["CompilationJobStatus"] == "FAILED"
    assert job["FailureReason"].startswith("ClientError: ")


def test_a_job_that_is_stopped_delivers_nothing(
    client: Client, make: Maker, archives: Path
) -> None:
    """Stop in the middle, and pay for no more."""
    url = make.upload(archives / "tiny_conv.tar.gz")
    name = compile_model(client, url, {"inputs": [1, 7, 7, 3]})
    wait(client, name, "INPROGRESS")
    client("sagemaker").stop_compilation_job(CompilationJobName=name)

    assert ended(client, name)["CompilationJobStatus"] == "STOPPED"
    assert keys(client, make.bucket, name) == set()


def test_a_job_whose_cloud_was_killed_has_failed_and_says_so(
    tmp_path: Path, archives: Path
) -> None:
    """A waiter must not wait for ever, and the name of the reason is not the user's fault."""
    home = Home(tmp_path / "home")
    with running_cloud(home, log=tmp_path / "first.log") as cloud:
        client_of(cloud, "s3").create_bucket(Bucket="jobs")
        maker = Maker(lambda service: client_of(cloud, service), "jobs")
        url = maker.upload(archives / "tiny_conv.tar.gz")
        name = compile_model(maker.client, url, {"inputs": [1, 8, 8, 3]})
        wait(maker.client, name, "INPROGRESS")
        cloud.process.kill()
        cloud.process.wait()
    with running_cloud(home, log=tmp_path / "second.log") as cloud:
        job = ended(lambda service: client_of(cloud, service), name)

        assert job["CompilationJobStatus"] == "FAILED"
        assert "The local cloud ended while the job was under way" in job["FailureReason"]
        assert keys(lambda service: client_of(cloud, service), "jobs", name) == set()
