"""Tags, by ARN."""

from typing import Any

import pytest
from tests.unit.cloud.sagemaker.scenario import run

from windtunnel.cloud.errors import InvalidError, NotFoundError, UnsupportedError

# The fixture's types live in conftest.py, which no module can import.
OpenRooms = Any
_ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def _tags(**tags: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def test_tags_are_added_overwritten_listed_and_deleted(open_rooms: OpenRooms) -> None:
    """Cleaning up by tag depends on each of these."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("E")
            for resource in ("model/e-config-model", "endpoint-config/e-config", "endpoint/e"):
                arn = f"{_ARN}:{resource}"
                await rooms.call("AddTags", resource_arn=arn, tags=_tags(a="1", b="2"))
                added = await rooms.call("AddTags", resource_arn=arn, tags=_tags(b="3", c="4"))
                await rooms.call("DeleteTags", resource_arn=arn, tag_keys=["a", "never"])
                left = await rooms.call("ListTags", resource_arn=arn)

                assert added == {"tags": _tags(a="1", b="3", c="4")}
                assert left == {"tags": _tags(b="3", c="4")}

    run(scenario())


def test_tags_given_at_creation_are_there(open_rooms: OpenRooms) -> None:
    """SDKs tag when they create."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_config("c")
            await rooms.call(
                "CreateEndpoint",
                endpoint_name="e",
                endpoint_config_name="c",
                tags=_tags(owner="me"),
            )
            listed = await rooms.call("ListTags", resource_arn=f"{_ARN}:endpoint/e")

        assert listed == {"tags": _tags(owner="me")}

    run(scenario())


def test_tagging_does_not_count_as_modifying(open_rooms: OpenRooms) -> None:
    """LastModifiedTime is about what runs."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e")
            before = await rooms.wait_status("e", "InService")
            rooms.clock.advance(10)
            await rooms.call("AddTags", resource_arn=f"{_ARN}:endpoint/e", tags=_tags(a="1"))
            after = await rooms.call("DescribeEndpoint", endpoint_name="e")

        assert after == before

    run(scenario())


@pytest.mark.parametrize(
    ("arn", "error", "words"),
    [
        (f"{_ARN}:model/none", NotFoundError, f'Could not find model "{_ARN}:model/none".'),
        (
            "arn:aws:sagemaker:eu-west-1:000000000000:model/m",
            NotFoundError,
            "Could not find model",
        ),
        (
            "arn:aws:sagemaker:us-east-1:123456789012:model/m",
            NotFoundError,
            "Could not find model",
        ),
        (f"{_ARN}:training-job/m", UnsupportedError, "does not offer tags on"),
        ("nonsense", UnsupportedError, "does not offer tags on nonsense"),
    ],
)
def test_an_arn_that_names_nothing_here_is_refused(
    open_rooms: OpenRooms, arn: str, error: type[Exception], words: str
) -> None:
    """Another account's or region's resource is not this one's."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_model("m")
            for operation, more in (
                ("ListTags", {}),
                ("AddTags", {"tags": _tags(a="1")}),
                ("DeleteTags", {"tag_keys": ["a"]}),
            ):
                with pytest.raises(error) as caught:
                    await rooms.call(operation, resource_arn=arn, **more)
                assert words in str(caught.value)

    run(scenario())


def test_a_resource_has_fifty_tags_at_most(open_rooms: OpenRooms) -> None:
    """AWS's limit; the request's own is checked before."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_model("m")
            arn = f"{_ARN}:model/m"
            fifty = _tags(**{f"key{number}": "x" for number in range(50)})
            await rooms.call("AddTags", resource_arn=arn, tags=fifty)
            await rooms.call("AddTags", resource_arn=arn, tags=fifty)
            with pytest.raises(InvalidError, match="51 would be too many"):
                await rooms.call("AddTags", resource_arn=arn, tags=_tags(more="x"))
            with pytest.raises(InvalidError, match="NextToken"):
                await rooms.call("ListTags", resource_arn=arn, next_token="x")

    run(scenario())
