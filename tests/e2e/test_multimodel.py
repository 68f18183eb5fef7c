"""Multi-model endpoints, as boto3 code written for AWS makes and invokes them."""

import datetime as dt
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.play import IMAGE, ROLE, Client, Maker, archive_of, invoke

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

BLACK = {"instances": [[[[0, 0, 0]] * 8] * 8]}

# A container that keeps AWS's contract and has room for two models; it tells of every load and
# unload, and models whose name says so are slow, or cannot be loaded.
CONTAINER = """
import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
lock, models, story = threading.Lock(), {}, []
assert os.environ["SAGEMAKER_MULTI_MODEL"] == "true"
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def answer(self, status, document=()):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"] or 0))
    def do_GET(self): self.answer(200)
    def do_DELETE(self):
        with lock:
            story.append("-" + models.pop(self.path.split("/")[2]))
        self.answer(200)
    def do_POST(self):
        target = self.headers["X-Amzn-SageMaker-Target-Model"]
        if self.path != "/models":
            name, body = self.path.split("/")[2], json.loads(self.body())
            if name not in models:
                return self.answer(404, {"error": "not loaded"})
            if body == "wait":
                while "go" not in os.listdir(os.environ["SIGNALS"]):
                    time.sleep(0.01)
            return self.answer(200, {"by": models[name], "story": list(story)})
        order = json.loads(self.body())
        if "bad" in target:
            return self.answer(500, {"error": "no model of mine"})
        with lock:
            if len(models) >= 2:
                return self.answer(507, {"error": "full"})
            with open(os.path.join(order["url"], "name")) as file:
                models[order["model_name"]] = file.read()
            story.append("+" + models[order["model_name"]])
        self.answer(200)
address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
ThreadingHTTPServer(address, Handler).serve_forever()
"""


def refused(call: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error: Any = caught.value.response
    return (
        error["Error"]["Code"],
        error["ResponseMetadata"]["HTTPStatusCode"],
        error["Error"]["Message"],
    )


def many(make: Maker, prefix: str, **options: Any) -> str:
    url = f"s3://{make.bucket}/{prefix}"
    container = {"Image": IMAGE, "Mode": "MultiModel", "ModelDataUrl": url}
    return make.endpoint(container, **options)


def contract(make: Maker, caching: str = "Enabled") -> str:
    """Make an endpoint of the container above; models a to d lie below its prefix."""
    for name in ("a", "b", "c", "d", "bad"):
        make.upload(archive_of({"name": name.encode()}), f"models/{name}.tar.gz")
    return make.endpoint(
        {
            "Image": "local/command",
            "Mode": "MultiModel",
            "MultiModelConfig": {"ModelCacheSetting": caching},
            "ModelDataUrl": f"s3://{make.bucket}/models/",
            "Environment": {
                "WINDTUNNEL_COMMAND": f"{sys.executable} {make.program(CONTAINER)}",
                "SIGNALS": str(make.directory),
            },
        }
    )


def ask(client: Client, endpoint: str, name: str, body: Any = "now") -> Any:
    return invoke(client, endpoint, body, TargetModel=f"{name}.tar.gz")


def test_an_invocation_names_its_model(client: Client, make: Maker, archives: Path) -> None:
    """Models may be uploaded after the endpoint is there, at any depth below its prefix."""
    name = many(make, "models/")
    make.upload(archives / "half_plus_two.tar.gz", "models/half.tar.gz")
    make.upload(archives / "tiny_conv.tar.gz", "models/pictures/conv.tar.gz")

    assert invoke(client, name, {"instances": [1]}, TargetModel="half.tar.gz") == {
        "predictions": [2.5]
    }
    assert invoke(client, name, BLACK, TargetModel="pictures/conv.tar.gz") == {
        "predictions": [[[[0.5]] * 8] * 8]
    }
    assert invoke(client, name, {"instances": [2]}, TargetModel="/half.tar.gz") == {
        "predictions": [3.0]
    }
    described = client("sagemaker").describe_model(ModelName=name)["PrimaryContainer"]
    assert described["Mode"] == "MultiModel"


def test_what_is_wrong_with_a_model_is_said_in_awss_words(
    client: Client, make: Maker, archives: Path, half_plus_two: str
) -> None:
    """Clients tell by the code whether to retry, to upload, or to mend their model."""
    name = many(make, "models")
    make.upload(b"no archive", "models/broken.tar.gz")
    make.upload(archive_of({"readme": b"no model"}), "models/empty.tar.gz")

    missing = refused(lambda: ask(client, name, "missing"))
    assert missing[:2] == ("ValidationError", 400)
    assert missing[2].startswith(
        f"Failed to download model data(bucket: {make.bucket}, key: models/missing.tar.gz). "
    )
    broken = refused(lambda: ask(client, name, "broken"))
    assert broken[:2] == ("ValidationError", 400)
    assert "Failed to extract model data archive" in broken[2]
    empty = refused(lambda: ask(client, name, "empty"))
    assert empty[:2] == ("ModelError", 424)
    assert "No SavedModel was found" in empty[2]
    none = refused(lambda: invoke(client, name, {"instances": [1]}))
    assert none[:2] == ("ValidationError", 400)
    assert none[2].endswith(" is missing a target model header.")
    assert refused(lambda: ask(client, half_plus_two, "a")) == (
        "ValidationError",
        400,
        f"Endpoint {half_plus_two} is not a multi-model endpoint and does not support target"
        " model header.",
    )
    make.upload(archives / "half_plus_two.tar.gz", "models/missing.tar.gz")
    assert ask(client, name, "missing", {"instances": [1]}) == {"predictions": [2.5]}


def test_the_model_that_was_used_longest_ago_makes_room(client: Client, make: Maker) -> None:
    """More models than fit are served all the same, and those in use stay."""
    name = contract(make)
    for model in ("a", "b", "a", "c", "a"):
        assert ask(client, name, model)["by"] == model

    assert ask(client, name, "a")["story"] == ["+a", "+b", "-b", "+c"]
    failed = refused(lambda: ask(client, name, "bad"))
    assert failed[:2] == ("ModelError", 424)
    assert "no model of mine" in failed[2]
    assert ask(client, name, "a")["story"] == ["+a", "+b", "-b", "+c"]


def test_first_requests_at_once_load_a_model_once(client: Client, make: Maker) -> None:
    """A burst for a cold model costs one load, and every request of it is answered."""
    name = contract(make)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(client, name, "a"), range(8)))

    assert [each["by"] for each in answers] == ["a"] * 8
    assert ask(client, name, "a")["story"] == ["+a"]


def test_a_model_with_requests_in_hand_is_not_unloaded(client: Client, make: Maker) -> None:
    """Whoever comes for another model waits for room; no request is cut off for it."""
    name = contract(make)
    ask(client, name, "a")
    ask(client, name, "b")
    with ThreadPoolExecutor(3) as pool:
        # Sent one after the other; whichever way they overlap, each is answered by its model.
        held = [pool.submit(ask, client, name, model, "wait") for model in ("a", "b")]
        late = pool.submit(ask, client, name, "c")
        (make.directory / "go").touch()
        assert [each.result()["by"] for each in held] == ["a", "b"]
        assert late.result()["by"] == "c"


def test_without_caching_a_model_goes_after_its_request(client: Client, make: Maker) -> None:
    """ModelCacheSetting Disabled is for many models that are each asked once."""
    name = contract(make, "Disabled")
    for model in ("a", "b", "c"):
        assert ask(client, name, model)["by"] == model
    story = ask(client, name, "d")["story"]

    # There is room for two: of the three before it at least two have gone.
    assert sum(each.startswith("-") for each in story) >= 2


def test_a_model_stays_with_its_instance(client: Client, make: Maker, archives: Path) -> None:
    """A second instance does not load what the first one has, unless that is busy."""
    make.upload(archives / "half_plus_two.tar.gz", "models/half.tar.gz")
    name = many(make, "models/", count=2)
    for _ in range(6):
        ask(client, name, "half", {"instances": [1]})
    cloudwatch = client("cloudwatch")
    dimensions = [
        {"Name": "EndpointName", "Value": name},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]

    def total(metric: str, statistic: str) -> float:
        now = dt.datetime.now(dt.UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=now - dt.timedelta(minutes=5),
            EndTime=now + dt.timedelta(minutes=5),
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        return float(sum(point[statistic] for point in points))

    assert total("ModelCacheHit", "SampleCount") == 6
    assert total("ModelCacheHit", "Sum") == 5
    for metric in ("ModelLoadingTime", "ModelDownloadingTime", "ModelLoadingWaitTime"):
        assert total(metric, "SampleCount") == 1
        assert total(metric, "Sum") > 0


def test_what_many_models_cannot_have_is_refused_by_name(client: Client, make: Maker) -> None:
    """A model that could never be served is refused when it is made."""
    sagemaker = client("sagemaker")

    def create(**container: Any) -> tuple[str, int, str]:
        return refused(
            lambda: sagemaker.create_model(
                ModelName=f"t-{uuid.uuid4().hex[:10]}",
                ExecutionRoleArn=ROLE,
                PrimaryContainer={"Image": IMAGE, **container},
            )
        )

    source = {
        "S3Uri": f"s3://{make.bucket}/models/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    assert "ModelDataUrl is required" in create(Mode="MultiModel")[2]
    assert (
        "ModelDataSource" in create(Mode="MultiModel", ModelDataSource={"S3DataSource": source})[2]
    )
    assert "MultiModelConfig" in create(MultiModelConfig={"ModelCacheSetting": "Enabled"})[2]
