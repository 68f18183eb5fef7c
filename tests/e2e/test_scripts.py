"""Archives with a script, deployed onto endpoints and invoked through the gateway."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.play import Client, Maker, invoke

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

SCRIPT = """
import json, os, requests
def handler(data, context):
    numbers = [float(line) for line in data]
    if min(numbers) < 0:
        raise ValueError("no number may be negative")
    answer = requests.post(context.rest_uri, json={"instances": numbers})
    return json.dumps({"worker": os.getpid(), **answer.json()}), context.accept_header
"""


def with_script(archive: Path, text: str) -> bytes:
    """Return an archive with `code/inference.py` besides what it had, as the SDK repacks it."""
    buffer = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=buffer, mode="w:gz") as new:
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        script = tarfile.TarInfo("code/inference.py")
        script.size = len(text.encode())
        new.addfile(script, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_a_script_answers_on_an_endpoint(client: Client, make: Maker, archives: Path) -> None:
    """Its handlers stand between InvokeEndpoint and the model, in all of its workers."""
    archive = with_script(archives / "half_plus_two.tar.gz", SCRIPT)
    name = make.tensorflow(archive, {"SAGEMAKER_GUNICORN_WORKERS": "2"})
    answers = [invoke(client, name, b"1\n2\n", ContentType="text/csv") for _ in range(20)]

    assert all(answer["predictions"] == [2.5, 3.0] for answer in answers)
    assert len({answer["worker"] for answer in answers}) == 2
    with pytest.raises(ClientError) as caught:
        invoke(client, name, b"-1", ContentType="text/csv")
    error: Any = caught.value.response
    assert error["Error"]["Code"] == "ModelError"
    assert error["OriginalStatusCode"] == 500
    assert json.loads(error["OriginalMessage"]) == {"error": "no number may be negative"}


def test_a_script_that_cannot_be_imported_fails_its_endpoint(
    client: Client, make: Maker, archives: Path
) -> None:
    """FailureReason names the error and the line, so that nobody searches a log for it."""
    archive = with_script(archives / "half_plus_two.tar.gz", "import json\nimport nowhere\n")
    name = make.tensorflow(archive, wait=False)
    sagemaker = client("sagemaker")
    with pytest.raises(Exception, match="Failed"):
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 900}
        )
    reason = sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]

    assert "No module named 'nowhere' (code/inference.py:2)" in reason
