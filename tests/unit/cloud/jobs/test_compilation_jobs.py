"""What becomes of a job: its output, its failures, its end."""

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.processes import is_alive
from tests.unit.cloud.jobs.conftest import OpenRooms, Rooms, Story

from windtunnel.cloud.errors import ConflictError, InvalidError, NotFoundError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.core import limits

pytestmark = pytest.mark.slow

Play = Callable[[Story], None]
OUTPUT = ["out/model-ml_c5.report.html", "out/model-ml_c5.report.json", "out/model-ml_c5.tar.gz"]
INPUT = "in/model.tar.gz"


def test_a_job_delivers_an_archive_and_its_report(play: Play) -> None:
    """`compile` then `deploy` reads just these members."""

    async def story(rooms: Rooms) -> None:
        arn = await rooms.create()
        told = await rooms.settled()
        _, made = await rooms.s3("GET", "/bucket/out/model-ml_c5.tar.gz")
        _, report = await rooms.s3("GET", "/bucket/out/model-ml_c5.report.json")

        assert arn == "arn:aws:sagemaker:us-east-1:000000000000:compilation-job/job"
        assert told["compilation_job_status"] == "COMPLETED"
        assert told["failure_reason"] == ""
        assert told["model_artifacts"] == {
            "s3_model_artifacts": "s3://bucket/out/model-ml_c5.tar.gz"
        }
        assert told["model_digests"] == {"artifact_digest": hashlib.blake2b(made).hexdigest()}
        assert told["derived_information"] == {"derived_data_input_config": '{"inputs": [1, 4]}'}
        assert told["inference_image"].endswith("/sagemaker-inference-tensorflow:2.9.2-cpu-py3")
        assert told["creation_time"] <= told["compilation_start_time"]
        assert told["compilation_start_time"] <= told["compilation_end_time"]
        assert told["compilation_end_time"] == told["last_modified_time"]
        assert report == b"a report in json"
        assert await rooms.keys() == [INPUT, *OUTPUT]
        assert list(rooms.home.jobs.iterdir()) == []

    play(story)


def test_the_compiler_is_told_what_was_asked(play: Play) -> None:
    """What is lost on the way to the compiler is silently not done."""

    async def story(rooms: Rooms) -> None:
        target = {"os": "LINUX", "arch": "X86_64"}
        await rooms.create(output_config={"target_device": None, "target_platform": target})
        await rooms.settled()
        _, made = await rooms.s3("GET", "/bucket/out/model-LINUX_X86_64.tar.gz")
        with tarfile.open(fileobj=io.BytesIO(made)) as archive:
            order = json.load(archive.extractfile("order.json"))  # type: ignore[arg-type]
            model = archive.extractfile("model").read()  # type: ignore[union-attr]

        assert order["framework"] == "TENSORFLOW"
        assert order["framework_version"] == "2.9"
        assert order["data_input_config"] == '{"name": "job"}'
        assert order["target"] == {"os": "LINUX", "arch": "X86_64", "accelerator": None}
        assert json.loads(order["compiler_options"])["act"] == "complete"
        assert order["calibration"] is None
        assert Path(order["output"]).parent == rooms.home.jobs / "job"
        assert order["cache_dir"] == str(rooms.home.compilations)
        assert order["lease"] == str(rooms.home.measurement_lease)
        assert (await rooms.s3("GET", f"/bucket/{INPUT}"))[1] == model

    play(story)


def test_calibration_data_is_brought_to_the_compiler(play: Play) -> None:
    """int8 needs samples, and they are in S3 as all else is."""

    async def story(rooms: Rooms) -> None:
        await rooms.s3("PUT", "/bucket/in/samples.npz", b"samples")
        await rooms.create(calibration="s3://bucket/in/samples.npz")
        await rooms.settled()
        _, made = await rooms.s3("GET", "/bucket/out/model-ml_c5.tar.gz")
        with tarfile.open(fileobj=io.BytesIO(made)) as archive:
            samples = archive.extractfile("calibration").read()  # type: ignore[union-attr]
        await rooms.create("missing", calibration="s3://bucket/in/none.npz")
        told = await rooms.settled("missing")

        assert samples == b"samples"
        assert told["failure_reason"] == (
            "ClientError: CompilerOptions calibration: There is no object at "
            "s3://bucket/in/none.npz."
        )

    play(story)


def test_a_compiler_that_found_nothing_better_shows_what_it_measured(play: Play) -> None:
    """People want to see why, and the figures that took a minute."""

    async def story(rooms: Rooms) -> None:
        await rooms.create(act="find-nothing")
        told = await rooms.settled()

        assert told["compilation_job_status"] == "FAILED"
        assert told["failure_reason"] == (
            "ClientError: Nothing beats TensorFlow. "
            "The report is s3://bucket/out/model-ml_c5.report.json."
        )
        assert await rooms.keys() == [INPUT, *OUTPUT[:2]]

    play(story)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("fail", "ClientError: The model has no input x: it has y."),
        ("exhaust", "InternalError: The compiler was killed by SIGKILL"),
        ("crash", "exit status 3. Its last words: I was told to crash. | everything is on fire"),
        ("lie", "InternalError: The compiler wrote no archive."),
    ],
)
def test_a_job_that_fails_says_why_and_delivers_nothing(play: Play, act: str, reason: str) -> None:
    """Neo's opaque errors are what its users complain of most."""

    async def story(rooms: Rooms) -> None:
        await rooms.create(act=act)
        told = await rooms.settled()

        assert told["compilation_job_status"] == "FAILED"
        assert reason in told["failure_reason"]
        assert len(told["failure_reason"]) <= 1024
        assert "model_digests" not in {key for key, value in told.items() if value}
        assert await rooms.keys() == [INPUT]

    play(story)


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        (
            "output_config",
            {"s3_output_location": "s3://nowhere/out"},
            "ClientError: OutputConfig.S3OutputLocation cannot be written (The specified bucket "
            "does not exist), so that nothing was compiled: s3://nowhere/out/model-ml_c5.tar.gz",
        ),
        (
            "output_config",
            {"s3_output_location": f"s3://bucket/{'k' * 1010}"},
            "cannot be written (Your key is too long)",
        ),
        (
            "input_config",
            {"s3_uri": "s3://bucket/none.tar.gz"},
            "ClientError: InputConfig.S3Uri: There is no object at s3://bucket/none.tar.gz.",
        ),
    ],
)
def test_a_job_without_a_model_or_a_place_for_it_fails_before_any_work(
    play: Play, member: str, value: dict[str, Any], reason: str
) -> None:
    """Ten minutes of compiling for an output that cannot be written are lost."""

    async def story(rooms: Rooms) -> None:
        wrong: dict[str, Any] = {member: value}
        await rooms.create(**wrong)
        told = await rooms.settled()

        assert told["compilation_job_status"] == "FAILED"
        assert reason in told["failure_reason"]
        assert not rooms.note.exists()
        assert await rooms.keys() == [INPUT]

    play(story)


def test_stopping_a_job_kills_its_work_and_leaves_nothing_of_it(play: Play) -> None:
    """A compiler that goes on in secret slows down what comes next."""

    async def story(rooms: Rooms) -> None:
        await rooms.create(act="hang")
        processes = await rooms.hanging()
        await rooms.stop()
        told = await rooms.settled()

        assert told["compilation_job_status"] == "STOPPED"
        assert told["compilation_end_time"] >= told["compilation_start_time"]
        assert not any(is_alive(process) for process in processes)
        assert await rooms.keys() == [INPUT]
        assert list(rooms.home.jobs.iterdir()) == []

    play(story)


def _oom_score(pid: int) -> int | None:
    """Return how eagerly the kernel kills a process when memory runs out; Linux alone says so."""
    path = Path(f"/proc/{pid}/oom_score_adj")
    return int(path.read_text()) if path.exists() else None


def test_a_compiler_yields_to_what_serves(play: Play) -> None:
    """A job must cost no request its time, and when memory runs out nobody else's life."""

    async def story(rooms: Rooms) -> None:
        await rooms.create(act="hang")
        compiler, _ = await rooms.hanging()

        assert compiler.nice() > psutil.Process().nice()
        assert _oom_score(compiler.pid) in (500, None)

    play(story)


def test_a_job_that_takes_too_long_is_killed_and_says_so(play: Play) -> None:
    """MaxRuntimeInSeconds is what caps a bill."""

    async def story(rooms: Rooms) -> None:
        # The model is fetched once for both, so that all of the second's time is its compiler's.
        await rooms.create("first")
        await rooms.settled("first")
        for key in OUTPUT:
            await rooms.s3("DELETE", f"/bucket/{key}")
        await rooms.create(act="hang", stopping_condition={"max_runtime_in_seconds": 5})
        processes = await rooms.hanging()
        told = await rooms.settled()

        assert told["compilation_job_status"] == "FAILED"
        assert "TimeOut: the job was not done after 5 s" in told["failure_reason"]
        assert not any(is_alive(process) for process in processes)
        assert await rooms.keys() == [INPUT]

    play(story)


def test_one_job_is_done_at_a_time_and_those_that_wait_can_be_stopped(play: Play) -> None:
    """Two compilers on one machine would measure each other."""

    async def story(rooms: Rooms) -> None:
        await rooms.create("first", "hang")
        await rooms.hanging()
        await rooms.create("second")
        await rooms.create("third")
        await rooms.create("fourth")
        await rooms.stop("third")

        assert (await rooms.settled("third"))["compilation_job_status"] == "STOPPED"
        assert (await rooms.describe("third"))["compilation_start_time"] is None
        assert [await rooms.status(each) for each in ("first", "second", "fourth")] == [
            "INPROGRESS",
            "STARTING",
            "STARTING",
        ]
        rooms.until.touch()
        for name in ("first", "second", "fourth"):
            assert (await rooms.settled(name))["compilation_job_status"] == "COMPLETED"
        done = [json.loads(line)["name"] for line in rooms.note.read_text().splitlines()]
        assert done == ["first", "second", "fourth"]

    play(story)


def test_more_jobs_than_may_wait_are_refused(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that creates jobs must not fill the home."""
    monkeypatch.setattr(limits, "COMPILATION_QUEUE_COUNT_MAX", 2)

    async def story(rooms: Rooms) -> None:
        await rooms.create("first", "hang")
        await rooms.create("second")
        with pytest.raises(LimitExceededError, match="Up to 2 compilation jobs"):
            await rooms.create("third")
        await rooms.stop("second")
        await rooms.settled("second")
        await rooms.create("third")

    play(story)


def test_a_cloud_that_ends_cuts_its_job_short_and_begins_the_waiting_ones(
    open_rooms: OpenRooms,
) -> None:
    """No job hangs for ever, and none is lost."""

    async def first() -> list[psutil.Process]:
        async with open_rooms() as rooms:
            await rooms.create("under-way", "hang")
            processes: list[psutil.Process] = await rooms.hanging()
            await rooms.create("waiting")
            return processes

    async def second() -> None:
        async with open_rooms() as rooms:
            told = await rooms.describe("under-way")
            assert told["compilation_job_status"] == "FAILED"
            assert "The local cloud ended while the job was under way" in told["failure_reason"]
            assert (await rooms.settled("waiting"))["compilation_job_status"] == "COMPLETED"
            assert await rooms.keys() == [INPUT, *OUTPUT]

    assert not any(is_alive(process) for process in asyncio.run(first()))
    asyncio.run(second())


def test_a_job_that_ended_is_as_it_was_after_a_restart(open_rooms: OpenRooms) -> None:
    """What was acknowledged is durable."""
    told: list[dict[str, Any]] = []

    async def look() -> None:
        async with open_rooms() as rooms:
            if not told:
                await rooms.create()
            told.append(await rooms.settled())

    asyncio.run(look())
    asyncio.run(look())

    assert told[0] == told[1]


def test_a_name_is_taken_until_its_job_is_deleted(play: Play) -> None:
    """A second job of a name would deliver over the first, unseen."""

    async def story(rooms: Rooms) -> None:
        await rooms.create()
        with pytest.raises(ConflictError, match="a job with this name already exists"):
            await rooms.create("JOB")
        await rooms.settled()
        with pytest.raises(ConflictError, match="in status COMPLETED"):
            await rooms.stop()
        await rooms.delete()
        with pytest.raises(NotFoundError, match='Could not find compilation job "arn:'):
            await rooms.describe()

        # "It doesn't delete other resources that are related to that job" (AWS).
        assert await rooms.keys() == [INPUT, *OUTPUT]
        await rooms.create()
        assert (await rooms.settled())["compilation_job_status"] == "COMPLETED"

    play(story)


def test_a_job_under_way_cannot_be_deleted_nor_stopped_twice(play: Play) -> None:
    """AWS asks to stop it first; so its work never goes on without a record."""

    async def story(rooms: Rooms) -> None:
        await rooms.create(act="hang")
        await rooms.hanging()
        with pytest.raises(ConflictError, match="in status INPROGRESS"):
            await rooms.delete()
        await rooms.stop()
        with pytest.raises(ConflictError, match="in status STOPP"):
            await rooms.stop()
        await rooms.settled()
        await rooms.delete()
        for call in (rooms.describe, rooms.stop, rooms.delete):
            with pytest.raises(NotFoundError):
                await call()

    play(story)


def test_jobs_are_listed_oldest_first_and_by_what_became_of_them(play: Play) -> None:
    """AWS's default order of jobs is not that of endpoints."""

    async def story(rooms: Rooms) -> None:
        await rooms.create("a")
        await rooms.settled("a")
        await rooms.create("b", "fail")
        await rooms.settled("b")
        answer = await rooms.jobs.list({})
        failed = await rooms.jobs.list({"status_equals": "FAILED"})
        page = await rooms.jobs.list({"sort_order": "Descending", "max_results": 1})

        names = [each["compilation_job_name"] for each in answer["compilation_job_summaries"]]
        assert names == ["a", "b"]
        (summary,) = failed["compilation_job_summaries"]
        assert summary["compilation_job_name"] == "b"
        assert summary["compilation_target_device"] == "ml_c5"
        assert page["compilation_job_summaries"] == [summary]
        assert page["next_token"] is not None

    play(story)


def test_a_jobs_log_is_where_aws_has_it(play: Play) -> None:
    """`aws logs tail /aws/sagemaker/CompilationJobs` is how people watch one."""

    async def story(rooms: Rooms) -> None:
        await rooms.create()
        await rooms.settled()
        group = "/aws/sagemaker/CompilationJobs"
        groups = (await rooms.ask_logs("DescribeLogGroups"))["log_groups"]
        answer = await rooms.ask_logs("GetLogEvents", log_group_name=group, log_stream_name="job")
        text = "\n".join(event["message"] for event in answer["events"])

        assert [each["log_group_name"] for each in groups] == [group]
        for words in ("I was told to complete.", "50% Measuring.", "Twice as fast.", "Delivered"):
            assert words in text
        # What goes on for long is not said again and again.
        assert text.count("Measuring.") == 1
        await rooms.ask_logs("DeleteLogStream", log_group_name=group, log_stream_name="job")
        assert (await rooms.ask_logs("DescribeLogGroups"))["log_groups"] == []

    play(story)


def test_a_stop_during_the_delivery_comes_too_late(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of an output would be worse than all of it."""

    async def story(rooms: Rooms) -> None:
        workshop = rooms.jobs._workshop
        deliver, is_delivering, go_on = workshop.deliver, asyncio.Event(), asyncio.Event()

        async def held(*arguments: Any) -> Any:
            is_delivering.set()
            await go_on.wait()
            return await deliver(*arguments)

        monkeypatch.setattr(workshop, "deliver", held)
        await rooms.create()
        await is_delivering.wait()
        await rooms.stop()
        assert await rooms.status() == "STOPPING"
        go_on.set()

        assert (await rooms.settled())["compilation_job_status"] == "COMPLETED"
        assert await rooms.keys() == [INPUT, *OUTPUT]

    play(story)


def test_an_output_that_cannot_be_delivered_fails_the_job_and_leaves_no_part(play: Play) -> None:
    """A report without its archive speaks of what is not there."""

    async def story(rooms: Rooms) -> None:
        await rooms.create(act="hang")
        await rooms.hanging()
        # Somebody empties and deletes the bucket meanwhile.
        for target in (f"/bucket/{INPUT}", "/bucket"):
            await rooms.s3("DELETE", target)
        rooms.until.touch()
        told = await rooms.settled()

        assert told["compilation_job_status"] == "FAILED"
        assert "InternalError: The output could not be delivered" in told["failure_reason"]

    play(story)


def test_a_runtime_beyond_awss_is_refused(play: Play) -> None:
    """28 days are the most that AWS takes."""

    async def story(rooms: Rooms) -> None:
        with pytest.raises(InvalidError, match="2419200 at most"):
            await rooms.create(stopping_condition={"max_runtime_in_seconds": 2_419_201})

    play(story)


def test_a_crash_in_this_cloud_fails_the_job_too(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not leave a job INPROGRESS for ever."""

    async def story(rooms: Rooms) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("windtunnel.cloud.jobs.workshop._make_anew", full)
        await rooms.create()
        told = await rooms.settled()

        assert told["compilation_job_status"] == "FAILED"
        assert "No space left on device" in told["failure_reason"]
        monkeypatch.undo()
        await rooms.create("next")
        assert (await rooms.settled("next"))["compilation_job_status"] == "COMPLETED"

    play(story)
