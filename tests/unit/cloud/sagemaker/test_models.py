"""Models and endpoint configs."""

import asyncio
from typing import Any

import pytest
from tests.unit.cloud.sagemaker.scenario import run

from windtunnel.cloud.errors import ConflictError, InvalidError, NotFoundError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.core import limits

# The fixture's types live in conftest.py, which no module can import.
OpenRooms = Any
_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu"
_ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def _sourced(kind: str, compression: str, uri: str) -> dict[str, Any]:
    """Return a container with a ModelDataSource."""
    source = {"s3_uri": uri, "s3_data_type": kind, "compression_type": compression}
    return {"image": _IMAGE, "model_data_source": {"s3_data_source": source}}


def test_a_model_is_described_as_it_was_made(open_rooms: OpenRooms) -> None:
    """What a user reads back is what will run, with AWS's additions."""
    container = {
        "image": _IMAGE,
        "model_data_url": "s3://bucket/model.tar.gz",
        "environment": {"A": "1"},
        "mode": "SingleModel",
    }

    async def scenario() -> None:
        async with open_rooms() as rooms:
            made = await rooms.call(
                "CreateModel",
                model_name="My-Model",
                primary_container=container,
                execution_role_arn="arn:aws:iam::000000000000:role/any",
                tags=[{"key": "team", "value": "x"}],
            )
            described = await rooms.call("DescribeModel", model_name="My-Model")

        assert made == {"model_arn": f"{_ARN}:model/my-model"}
        assert described == {
            "model_name": "My-Model",
            "primary_container": container,
            "execution_role_arn": "arn:aws:iam::000000000000:role/any",
            "enable_network_isolation": False,
            "model_arn": f"{_ARN}:model/my-model",
            "creation_time": rooms.clock.now_s(),
        }

    run(scenario())


@pytest.mark.parametrize(
    ("container", "error", "words"),
    [
        (None, InvalidError, "PrimaryContainer is required"),
        ({}, InvalidError, "PrimaryContainer.Image is required"),
        ({"image": "nginx:latest"}, InvalidError, "does not run in this local cloud"),
        ({"image": "local/command"}, InvalidError, "WINDTUNNEL_COMMAND"),
        (
            {"image": _IMAGE, "model_data_url": "s3://bucket/missing.tar.gz"},
            NotFoundError,
            r"^Could not find model data at s3://bucket/missing.tar.gz\.$",
        ),
        (
            {"image": _IMAGE, "model_data_url": "s3://bucket"},
            InvalidError,
            "ModelDataUrl: .*is not the address of an S3 object",
        ),
        (
            {"image": _IMAGE, "model_data_url": "https://example.com/model.tar.gz"},
            InvalidError,
            "ModelDataUrl: ",
        ),
        (_sourced("S3Object", "None", "s3://bucket/none"), NotFoundError, "Could not find"),
        (_sourced("S3Prefix", "None", "s3://bucket/none/"), NotFoundError, "Could not find"),
        (_sourced("S3Prefix", "None", "s3://bucket/m"), InvalidError, "ends with a slash"),
        (_sourced("S3Prefix", "Gzip", "s3://bucket/m/"), InvalidError, "goes with .*S3Object"),
        (_sourced("S3Object", "None", "s3://bucket"), InvalidError, "S3Uri: .*not the address"),
        (
            {
                **_sourced("S3Object", "Gzip", "s3://bucket/model.tar.gz"),
                "model_data_url": "s3://bucket/model.tar.gz",
            },
            InvalidError,
            "Only one of ModelDataUrl and ModelDataSource",
        ),
    ],
)
def test_a_model_that_could_never_run_is_refused_at_once(
    open_rooms: OpenRooms, container: dict[str, Any] | None, error: type[Exception], words: str
) -> None:
    """AWS checks the archive at CreateModel; the image list is ours."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            with pytest.raises(error, match=words):
                await rooms.call("CreateModel", model_name="m", primary_container=container)
            assert (await rooms.call("ListModels"))["models"] == []

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "compression", "uri", "form"),
    [
        ("S3Object", "Gzip", "s3://bucket/model.tar.gz", "archive"),
        ("S3Object", "None", "s3://bucket/model.tar.gz", "object"),
        ("S3Prefix", "None", "s3://bucket/model/", "prefix"),
    ],
)
def test_a_model_data_source_reaches_the_fleet(
    open_rooms: OpenRooms, kind: str, compression: str, uri: str, form: str
) -> None:
    """Large models are deployed without the hour of packing them."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.s3.objects.add(("bucket", "model/1/saved_model.pb"))
            container = _sourced(kind, compression, uri)
            await rooms.call("CreateModel", model_name="m", primary_container=container)
            described = await rooms.call("DescribeModel", model_name="m")
            variant = {**_VARIANT, "model_name": "m"}
            variant["model_data_download_timeout_in_seconds"] = 61
            await rooms.call(
                "CreateEndpointConfig", endpoint_config_name="c", production_variants=[variant]
            )
            await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="c")
            await rooms.wait_status("e", "InService")
            (spec,) = rooms.fleet.specs

        assert described["primary_container"] == container
        assert (spec.model_data_url, spec.model_data_form) == (uri, form)
        assert spec.download_timeout_s == 61

    run(scenario())


def test_a_name_is_taken_in_whatever_case(open_rooms: OpenRooms) -> None:
    """ARNs are in lower case on AWS: `Model` and `model` would have the same one."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_model("Model")
            with pytest.raises(ConflictError) as caught:
                await rooms.create_model("mODEL")
            assert (await rooms.call("DescribeModel", model_name="model"))["model_name"] == "Model"

        assert str(caught.value) == (
            "Cannot create already existing model "
            '"arn:aws:sagemaker:us-east-1:000000000000:model/model".'
        )

    run(scenario())


def test_of_two_creations_at_once_one_wins(open_rooms: OpenRooms) -> None:
    """Both callers must not believe that the model is theirs."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            outcomes = await asyncio.gather(
                *(rooms.create_model("m") for _ in range(8)), return_exceptions=True
            )
            await rooms.create_model("other")

        assert sum(outcome is None for outcome in outcomes) == 1
        assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 7
        assert rooms.journal == ["commit model m", "commit model other"]

    run(scenario())


@pytest.mark.parametrize(
    ("operation", "member", "sentence"),
    [
        ("DescribeModel", "model_name", 'Could not find model "arn:{}:model/none".'),
        ("DeleteModel", "model_name", 'Could not find model "arn:{}:model/none".'),
        (
            "DescribeEndpointConfig",
            "endpoint_config_name",
            'Could not find endpoint configuration "arn:{}:endpoint-config/none".',
        ),
        (
            "DeleteEndpointConfig",
            "endpoint_config_name",
            'Could not find endpoint configuration "arn:{}:endpoint-config/none".',
        ),
        ("DescribeEndpoint", "endpoint_name", 'Could not find endpoint "arn:{}:endpoint/none".'),
        ("DeleteEndpoint", "endpoint_name", 'Could not find endpoint "arn:{}:endpoint/none".'),
    ],
)
def test_what_is_not_there_is_said_in_awss_words(
    open_rooms: OpenRooms, operation: str, member: str, sentence: str
) -> None:
    """Scripts and SDKs look for these sentences."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            with pytest.raises(NotFoundError) as caught:
                await rooms.call(operation, **{member: "None"})

        assert str(caught.value) == sentence.format("aws:sagemaker:us-east-1:000000000000")

    run(scenario())


def test_a_config_has_awss_defaults_filled_in(open_rooms: OpenRooms) -> None:
    """The weight of a lone variant is 1.0, said or not."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_config("c", instance_count=3)
            described = await rooms.call("DescribeEndpointConfig", endpoint_config_name="c")

        assert described["endpoint_config_arn"] == f"{_ARN}:endpoint-config/c"
        assert described["production_variants"] == [
            {
                "variant_name": "AllTraffic",
                "model_name": "c-model",
                "instance_type": "ml.c5.xlarge",
                "initial_instance_count": 3,
                "initial_variant_weight": 1.0,
            }
        ]

    run(scenario())


_VARIANT = {
    "variant_name": "a",
    "model_name": "model",
    "instance_type": "ml.c5.large",
    "initial_instance_count": 1,
}


@pytest.mark.parametrize(
    ("variants", "error", "words"),
    [
        (
            [{**_VARIANT, "model_name": "none"}],
            NotFoundError,
            'Could not find model ".*model/none"',
        ),
        (
            [{key: value for key, value in _VARIANT.items() if key != "model_name"}],
            InvalidError,
            "ProductionVariants.member.1.ModelName is required",
        ),
        (
            [{key: value for key, value in _VARIANT.items() if key != "instance_type"}],
            InvalidError,
            "InstanceType is required",
        ),
        (
            [{key: value for key, value in _VARIANT.items() if key != "initial_instance_count"}],
            InvalidError,
            "InitialInstanceCount is required",
        ),
        (
            [_VARIANT, {**_VARIANT, "instance_type": "ml.m5.large"}],
            InvalidError,
            "Production variants of one endpoint config need different names",
        ),
    ],
)
def test_a_config_that_could_never_run_is_refused(
    open_rooms: OpenRooms, variants: list[dict[str, Any]], error: type[Exception], words: str
) -> None:
    """The mistake is told where it was made, not when the endpoint fails."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_model("model")
            with pytest.raises(error, match=words):
                await rooms.call(
                    "CreateEndpointConfig", endpoint_config_name="c", production_variants=variants
                )

    run(scenario())


def test_everything_is_there_after_a_restart(open_rooms: OpenRooms) -> None:
    """Models, configs and tags outlive the cloud, and what was deleted stays deleted."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_config("kept")
            await rooms.create_config("dropped")
            await rooms.call("DeleteEndpointConfig", endpoint_config_name="dropped")
            await rooms.call("DeleteModel", model_name="dropped-model")
            arn = f"{_ARN}:model/kept-model"
            await rooms.call("AddTags", resource_arn=arn, tags=[{"key": "k", "value": "v"}])
            before = await rooms.call("DescribeModel", model_name="kept-model")
        async with open_rooms() as rooms:
            after = await rooms.call("DescribeModel", model_name="kept-model")
            models = await rooms.call("ListModels")
            configs = await rooms.call("ListEndpointConfigs")
            tags = await rooms.call("ListTags", resource_arn=arn)

        assert after == before
        assert [model["model_name"] for model in models["models"]] == ["kept-model"]
        assert [each["endpoint_config_name"] for each in configs["endpoint_configs"]] == ["kept"]
        assert tags == {"tags": [{"key": "k", "value": "v"}]}

    run(scenario())


def test_there_is_a_limit_to_how_much_can_be_created(
    open_rooms: OpenRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script gone wild must not fill the memory."""
    monkeypatch.setattr(limits, "RESOURCE_COUNT_MAX", 2)

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_model("a")
            await rooms.create_model("b")
            with pytest.raises(LimitExceededError, match="up to 2 resources"):
                await rooms.create_model("c")

    run(scenario())
