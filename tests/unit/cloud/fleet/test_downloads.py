"""What instances fetch before they start: once for all, and anew when it is new."""

import asyncio
import dataclasses
import threading

import pytest
from tests.unit.cloud.fleet.played import Cloud, Play, fetch, on_both_loops, wait_until

from windtunnel.cloud.fleet.fleet import StartFailedError

pytestmark = pytest.mark.slow


def test_instances_that_start_together_share_one_download(play: Play) -> None:
    """Four instances of a large model fetch it once."""

    async def story(cloud: Cloud) -> None:
        await asyncio.gather(*(cloud.start(cloud.tensorflow()) for _ in range(4)))
        await cloud.start(cloud.tensorflow())

        gets = [path for method, path in cloud.s3.requests if method == "GET"]
        assert gets == ["/bucket/model.tar.gz"]

    play(story)


def test_what_was_uploaded_anew_is_fetched_anew(play: Play) -> None:
    """A new version under the old name is what new instances get."""

    async def story(cloud: Cloud) -> None:
        spec = cloud.command(model_data_url=cloud.model())
        first = await cloud.start(spec)
        cloud.s3.put("bucket", "model.tar.gz", cloud.archives.tar_gz({"other.bin": b"new"}))
        second = await cloud.start(spec)

        told = [await fetch(each.addresses[0]) for each in (first, second)]
        assert [each["files"] for each in told] == [["weights.bin"], ["other.bin"]]

    play(story)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://bucket/none.tar.gz", "There is no object at s3://bucket/none.tar.gz"),
        ("s3://bucket/bad.tar.gz", "The archive s3://bucket/bad.tar.gz cannot be used"),
        ("https://example.com/x/y", "is not the address of an S3 object"),
        (None, "The model has no ModelDataUrl"),
    ],
)
def test_model_data_that_cannot_be_had_fails_the_start(
    play: Play, url: str | None, reason: str
) -> None:
    """The reason is the archive's, not the container's, and nothing was started for it."""

    async def story(cloud: Cloud) -> None:
        cloud.s3.put("bucket", "bad.tar.gz", b"not an archive")
        spec = dataclasses.replace(cloud.tensorflow(), model_data_url=url)
        with pytest.raises(StartFailedError, match=reason):
            await cloud.start(spec)

        assert not (cloud.home.logs / "endpoints/unet").exists()

    play(story)


@on_both_loops
def test_a_download_given_up_by_one_serves_the_others(play: Play) -> None:
    """An endpoint deleted while it waits does not spoil its neighbour's download."""

    async def story(cloud: Cloud) -> None:
        go_on = threading.Event()
        cloud.s3.hold = go_on.wait
        starts = [asyncio.create_task(cloud.start(cloud.tensorflow())) for _ in range(2)]
        await wait_until(lambda: ("GET", "/bucket/model.tar.gz") in cloud.s3.requests, "asked")
        starts[0].cancel()
        await asyncio.wait({starts[0]})
        go_on.set()

        assert (await starts[1]).is_healthy

    play(story)


def test_closing_during_a_download_fails_the_start(play: Play) -> None:
    """`up` ends promptly while gigabytes are on their way."""

    async def story(cloud: Cloud) -> None:
        go_on = threading.Event()
        cloud.s3.hold = go_on.wait
        starting = asyncio.create_task(cloud.start(cloud.tensorflow()))
        await wait_until(lambda: ("GET", "/bucket/model.tar.gz") in cloud.s3.requests, "asked")
        await cloud.fleet.close()
        go_on.set()

        with pytest.raises(StartFailedError, match="The cloud is ending"):
            await starting
        with pytest.raises(StartFailedError, match="The cloud is ending"):
            await cloud.start(cloud.command())

    play(story)
