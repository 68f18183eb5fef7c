"""Changing an endpoint under load, with real instances."""

import sys
import tarfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Self

import pytest
from botocore.exceptions import ClientError
from tests.e2e.play import IMAGE, ROLE, Client, Maker, invoke, server
from tests.serving.harness import request, wait_until

from windtunnel.cli.cloud_process import CloudProcess

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

# A server that answers with its version, after a moment in which it can be told to end.
_SERVER = server("""
def respond(body):
    time.sleep(0.02)
    return os.environ["VERSION"].encode()
""")


class Caller:
    """Invokes an endpoint from a few threads until told to stop; counts what comes back."""

    def __init__(self, client: Client, name: str, **options: Any) -> None:
        self.answers: Counter[str] = Counter()
        self.variants: Counter[str] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._client = client("sagemaker-runtime")
        self._request = {"EndpointName": name, "Body": b"x", **options}
        self._threads = [threading.Thread(target=self._call) for _ in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._client.invoke_endpoint(**self._request)
                self.answers[answer["Body"].read().decode()] += 1
                self.variants[answer["InvokedProductionVariant"]] += 1
            except ClientError as error:
                self.failures.append(str(error))

    def wait_for(self, answer: str) -> None:
        """Wait until an answer was seen."""
        deadline_s = time.monotonic() + 30
        while not self.answers[answer]:
            assert time.monotonic() < deadline_s, (self.answers, self.failures)
            time.sleep(0.01)


def _model(client: Client, name: str, version: str, program: Path) -> None:
    client("sagemaker").create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": "local/command",
            "Environment": {
                "WINDTUNNEL_COMMAND": f"{sys.executable} {program}",
                "VERSION": version,
            },
        },
    )


def _variant(name: str, model: str, weight: float = 1.0, count: int = 1) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": model,
        "InitialInstanceCount": count,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": weight,
    }


def _in_service(client: Client, name: str) -> Any:
    client("sagemaker").get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 900}
    )
    return client("sagemaker").describe_endpoint(EndpointName=name)


def test_no_request_is_lost_while_an_endpoint_is_replaced(client: Client, make: Maker) -> None:
    """Deploying a new version in the day costs no user an error, nor does one that is broken."""
    sagemaker = client("sagemaker")
    name = make.command(_SERVER, environment={"VERSION": "one"}, count=2)
    program = make.program(_SERVER)
    for version in ("two", "broken"):
        model = f"{name}-{version}"
        _model(client, model, version, program)
        sagemaker.create_endpoint_config(
            EndpointConfigName=model, ProductionVariants=[_variant("AllTraffic", model, count=2)]
        )
    program_of_broken = make.program("raise SystemExit('no such model')")
    sagemaker.delete_model(ModelName=f"{name}-broken")
    _model(client, f"{name}-broken", "broken", program_of_broken)
    with Caller(client, name) as caller:
        caller.wait_for("one")
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-two")
        updated = _in_service(client, name)
        caller.wait_for("two")
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-broken")
        failed = _in_service(client, name)

    assert caller.failures == []
    assert set(caller.answers) == {"one", "two"}
    assert updated["EndpointConfigName"] == failed["EndpointConfigName"] == f"{name}-two"
    assert "FailureReason" not in updated
    assert "no such model" in failed["FailureReason"]


def test_no_request_is_lost_while_an_endpoint_is_scaled(client: Client, make: Maker) -> None:
    """Scaling in takes instances away that are answering."""
    sagemaker = client("sagemaker")
    name = make.command(_SERVER, environment={"VERSION": "one"})
    counts = []
    with Caller(client, name) as caller:
        caller.wait_for("one")
        for count in (3, 1):
            sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=name,
                DesiredWeightsAndCapacities=[
                    {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
                ],
            )
            described = _in_service(client, name)
            counts.append(described["ProductionVariants"][0]["CurrentInstanceCount"])

    assert caller.failures == []
    assert counts == [3, 1]


# A lone request waits so long for others to share its batch, which do not come.
_SLOW = {
    "SAGEMAKER_TFS_ENABLE_BATCHING": "true",
    "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "2000000",
}


@pytest.mark.parametrize("change", ["scaled in", "deleted"])
def test_what_an_instance_has_in_hand_is_answered_before_it_ends(
    cloud: CloudProcess, client: Client, make: Maker, archives: Path, change: str
) -> None:
    """A slow inference that was taken is answered, whatever becomes of its instance."""
    name = make.tensorflow(archives / "half_plus_two.tar.gz", _SLOW, count=2)
    answers: list[Any] = []
    clients = [
        threading.Thread(target=lambda: answers.append(invoke(client, name, {"instances": [1.0]})))
        for _ in range(2)
    ]
    for each in clients:
        each.start()

    def counts_in_hand() -> list[str]:
        # One in each instance: the router sends to the one that has the fewest.
        lines = request(cloud.url, "GET", "/metrics").body.decode().splitlines()
        wanted = "windtunnel_invocations_in_flight"
        mine = [line for line in lines if line.startswith(wanted) and name in line]
        return [line.rpartition(" ")[2] for line in mine]

    wait_until(lambda: counts_in_hand() == ["1.0", "1.0"], "both requests to be in hand")
    if change == "deleted":
        make.delete(name)
    else:
        sagemaker = client("sagemaker")
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}],
        )
        _in_service(client, name)
    for each in clients:
        each.join()

    assert answers == [{"predictions": [2.5]}] * 2


def test_weights_and_targets_decide_which_variant_answers(client: Client, make: Maker) -> None:
    """An A/B test's shares are those that were asked for; a target overrides them."""
    sagemaker = client("sagemaker")
    name = make.command(_SERVER, environment={"VERSION": "a"})
    program = make.program(_SERVER)
    _model(client, f"{name}-b", "b", program)
    sagemaker.create_endpoint_config(
        EndpointConfigName=f"{name}-ab",
        ProductionVariants=[_variant("a", name), _variant("b", f"{name}-b", weight=0.0)],
    )
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-ab")
    _in_service(client, name)
    with Caller(client, name) as only_a:
        only_a.wait_for("a")
    with Caller(client, name, TargetVariant="b") as only_b:
        only_b.wait_for("b")
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "b", "DesiredWeight": 1.0}],
    )
    _in_service(client, name)
    with Caller(client, name) as both:
        both.wait_for("a")
        both.wait_for("b")
    with pytest.raises(ClientError, match="Variant c of endpoint .* not found") as caught:
        client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"x", TargetVariant="c")

    assert set(only_a.variants) == {"a"}
    assert set(only_b.variants) == {"b"}
    assert only_a.failures == only_b.failures == both.failures == []
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_a_model_is_served_from_objects_that_are_no_archive(
    client: Client, make: Maker, archives: Path
) -> None:
    """Packing and unpacking gigabytes is time that a ModelDataSource saves."""
    with tarfile.open(archives / "half_plus_two.tar.gz") as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            if content is not None:
                make.upload(content.read(), f"model/{member.name.removeprefix('./')}")
    source = {
        "S3Uri": f"s3://{make.bucket}/model/",
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    name = make.endpoint({"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}})

    assert invoke(client, name, {"instances": [1.0]}) == {"predictions": [2.5]}
