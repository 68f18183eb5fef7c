"""The Logs room over a home's files: what is shown, what is deleted, what lasts."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from windtunnel.cloud.errors import ConflictError, InvalidError, NotFoundError
from windtunnel.cloud.fleet.logs import Log, tend
from windtunnel.cloud.logs.service import Logs
from windtunnel.core import limits
from windtunnel.core.clock import ManualClock

GROUP = "/aws/sagemaker/Endpoints/unet"
STREAM = "AllTraffic/i-0"
DAY_S = 86_400.0


class Room:
    """The Logs of one home, and an instance that writes."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = ManualClock()
        self.folder = folder
        self.options = options
        self.logs = Logs(folder, self.clock, region="us-east-1", **options)
        self.log = Log(folder / "endpoints" / "unet" / "AllTraffic" / "i-0.log")

    def write(self, text: str) -> None:
        os.write(self.log.descriptor, text.encode())
        tend([self.log], self.clock.now_s())

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        async def asked() -> dict[str, Any]:
            return await self.logs.operations()[operation](request)

        return asyncio.run(asked())

    def messages(self, group: str = GROUP, stream: str = STREAM) -> list[str]:
        answer = self.ask("GetLogEvents", log_group_name=group, log_stream_name=stream)
        return [event["message"] for event in answer["events"]]

    def groups(self) -> list[str]:
        return [each["log_group_name"] for each in self.ask("DescribeLogGroups")["log_groups"]]

    def put(self, *events: tuple[float, str], group: str = "mine") -> dict[str, Any]:
        return self.ask(
            "PutLogEvents",
            log_group_name=group,
            log_stream_name="s",
            log_events=[
                {"timestamp": int((self.clock.now_s() + after_s) * 1000), "message": message}
                for after_s, message in events
            ],
        )

    def restart(self) -> None:
        asyncio.run(self.logs.close())
        self.logs = Logs(self.folder, self.clock, region="us-east-1", **self.options)

    def close(self) -> None:
        asyncio.run(self.logs.close())
        self.log.close()


MakeRoom = Callable[..., Room]


@pytest.fixture
def make_room(tmp_path: Path) -> Iterator[MakeRoom]:
    """Make the room of a test, with its options."""
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> Room:
            room = Room(tmp_path, **options)
            stack.callback(room.close)
            return room

        yield make


@pytest.fixture
def room(make_room: MakeRoom) -> Room:
    return make_room()


def test_events_are_there_as_soon_as_they_were_seen(room: Room) -> None:
    """In the default mode nobody waits for a log."""
    room.write("hello\n")

    assert room.groups() == [GROUP]
    assert room.messages() == ["hello"]


def test_events_can_be_made_to_come_late_as_on_aws(make_room: MakeRoom) -> None:
    """A script that only works because logs are instant here would fail there."""
    room = make_room(visible_after_s=5.0)
    room.write("one\n")
    room.clock.advance(3)
    room.write("two\n")
    streams = room.ask("DescribeLogStreams", log_group_name=GROUP)["log_streams"]
    assert (streams, room.messages()) == ([], [])
    room.clock.advance(2)
    assert room.messages() == ["one"]
    found = room.ask("FilterLogEvents", log_group_name=GROUP)["events"]
    assert [event["message"] for event in found] == ["one"]
    room.clock.advance(3)
    assert room.messages() == ["one", "two"]


def test_a_deleted_group_comes_back_with_the_next_line(room: Room) -> None:
    """As on AWS, where a running instance makes its group again."""
    room.write("before\n")
    room.ask("DeleteLogGroup", log_group_name=GROUP)
    assert room.groups() == []
    with pytest.raises(NotFoundError, match="The specified log group does not exist."):
        room.messages()
    room.restart()
    room.clock.advance(1)
    room.write("after\n")

    assert room.groups() == [GROUP]
    assert room.messages() == ["after"]


def test_logs_of_an_instance_that_is_gone_stay_until_they_are_deleted(
    room: Room, tmp_path: Path
) -> None:
    """Why did it fail? The answer outlives the endpoint; deleting it frees the disk."""
    room.write("last words")
    room.log.finish(room.clock.now_s())
    assert room.messages() == ["last words"]
    room.ask("DeleteLogStream", log_group_name=GROUP, log_stream_name=STREAM)

    assert room.groups() == []
    assert list((tmp_path / "endpoints").rglob("*.log*")) == []


def test_what_clients_wrote_lasts(room: Room) -> None:
    """What was acknowledged is there after a restart, in the order of its times."""
    room.ask("CreateLogGroup", log_group_name="mine", tags={"a": "b"})
    room.ask("CreateLogStream", log_group_name="mine", log_stream_name="s")
    room.put((2, "third"), (3, "fourth"))
    room.put((0, "first"), (1, "two\nlines"))
    room.restart()

    assert room.messages("mine", "s") == ["first", "two\nlines", "third", "fourth"]
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:mine"
    assert room.ask("ListTagsForResource", resource_arn=arn) == {"tags": {"a": "b"}}
    [described] = room.ask("DescribeLogGroups", log_group_name_prefix="mine")["log_groups"]
    assert (
        described["stored_bytes"] == sum(map(len, ("first", "two\nlines", "third", "fourth"))) + 104
    )
    room.ask("DeleteLogGroup", log_group_name="mine")
    room.restart()
    assert room.groups() == []


def test_a_client_can_write_beside_an_instance_and_not_into_its_stream(room: Room) -> None:
    """What stands in an instance's stream was written by the instance."""
    room.write("ours\n")
    room.ask("CreateLogStream", log_group_name=GROUP, log_stream_name="s")
    room.put((1, "mine"), group=GROUP)

    events = room.ask("FilterLogEvents", log_group_name=GROUP)["events"]
    assert [event["message"] for event in events] == ["ours", "mine"]
    assert len({event["event_id"] for event in events}) == 2
    with pytest.raises(ConflictError):
        room.ask("CreateLogStream", log_group_name=GROUP, log_stream_name=STREAM)
    with pytest.raises(InvalidError, match="written by an instance"):
        room.ask(
            "PutLogEvents",
            log_group_name=GROUP,
            log_stream_name=STREAM,
            log_events=[{"timestamp": 0, "message": "x"}],
        )


def test_events_too_old_or_too_new_are_left_out_and_said(room: Room) -> None:
    """AWS takes the rest of a batch and tells which part it did not take."""
    room.ask("CreateLogGroup", log_group_name="mine")
    room.ask("CreateLogStream", log_group_name="mine", log_stream_name="s")
    answer = room.put((-15 * DAY_S, "old"), (-1, "good"), (0, "good"), (3 * 3600, "new"))
    assert answer["rejected_log_events_info"] == {
        "too_old_log_event_end_index": 1,
        "too_new_log_event_start_index": 3,
        "expired_log_event_end_index": None,
    }
    room.ask("PutRetentionPolicy", log_group_name="mine", retention_in_days=1)
    answer = room.put((-2 * DAY_S, "expired"), (0, "good"))
    assert answer["rejected_log_events_info"]["expired_log_event_end_index"] == 1
    assert room.put((-3 * DAY_S, "all of it"))["rejected_log_events_info"] is not None

    assert room.messages("mine", "s") == ["good"] * 3


def test_retention_hides_what_is_older(room: Room) -> None:
    """A policy that is taken must do something."""
    room.write("old\n")
    room.clock.advance(2 * DAY_S)
    room.write("new\n")
    room.ask("PutRetentionPolicy", log_group_name=GROUP, retention_in_days=1)
    assert room.messages() == ["new"]
    [group] = room.ask("DescribeLogGroups")["log_groups"]
    assert group["retention_in_days"] == 1
    room.ask("DeleteRetentionPolicy", log_group_name=GROUP)

    assert room.messages() == ["old", "new"]


def test_clients_events_are_bounded_the_oldest_go(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that logs for a year does not fill the disk."""
    monkeypatch.setattr(limits, "LOG_CLIENT_BYTES_MAX", 50_000)
    room.ask("CreateLogGroup", log_group_name="mine")
    room.ask("CreateLogStream", log_group_name="mine", log_stream_name="s")
    for second in range(12):
        room.put(*[(second, f"{second} " + "x" * 700)] * 10)
        room.clock.advance(1)
    kept = room.messages("mine", "s")

    assert sum(len(message) + 26 for message in kept) <= 50_000
    assert kept[-1].startswith("11 ")


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([(1, "b"), (0, "a")], "must be in chronological order"),
        ([(-DAY_S, "a"), (1, "b")], "cannot span more than 24 hours"),
        ([(0, "x" * (limits.LOG_EVENT_BYTES_MAX + 1))], "Log event too large"),
        ([(0, "x" * 600_000), (0, "x" * 600_000)], "Upload too large"),
    ],
)
def test_a_batch_keeps_awss_bounds(room: Room, events: list[tuple[float, str]], words: str) -> None:
    """Log shippers are built around these refusals."""
    room.ask("CreateLogGroup", log_group_name="mine")
    room.ask("CreateLogStream", log_group_name="mine", log_stream_name="s")
    with pytest.raises(InvalidError, match=words):
        room.put(*events)
    assert room.messages("mine", "s") == []
