"""`windtunnel load` with sets of payloads and users who come, go and think."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from windtunnel.core import limits
from windtunnel.lab.load import mix

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws, Ran

    Command = Callable[..., Ran]

# Starting a load process takes a second or two: Locust is imported anew.
pytestmark = pytest.mark.slow


@pytest.fixture
def load(
    windtunnel: "Command", aws: "FakeAws", in_service: str, payload_file: Path, tmp_path: Path
) -> "Command":
    """Return a function that puts load on an endpoint that answers after 10 ms."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.01)
        return 200, {}, b"{}"

    aws.answer = answer

    def run(*words: object) -> "Ran":
        sent = [] if "--payload" in words or "--payload-lines" in words else [payload_file]
        given = [word for file in sent for word in ("--payload", file)]
        return windtunnel("load", in_service, "--out", tmp_path / "run", *given, *words)

    return run


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Return three payloads of one byte, two and three."""
    paths = [tmp_path / f"{name}.json" for name in "abc"]
    for size, path in enumerate(paths, start=1):
        path.write_bytes(b"1" * size)
    return paths


def _rows(tmp_path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(tmp_path / "run" / "requests.parquet").to_pylist()
    return rows


def _summary(tmp_path: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((tmp_path / "run" / "summary.json").read_text())
    return summary


def _check_whole(ran: "Ran", tmp_path: Path) -> None:
    """A run that others' work on this machine made invalid is whole all the same."""
    assert ran.code in {0, 3}, ran.err
    reasons = _summary(tmp_path)["reasons"]
    assert all(reason.startswith("the generator fell behind") for reason in reasons), reasons


def _bodies(aws: "FakeAws") -> list[bytes]:
    return [asked.body for asked in aws.asked if asked.action == "InvokeEndpoint"]


def test_payloads_are_sent_in_their_weights_and_each_row_says_which(
    load: "Command", aws: "FakeAws", three: list[Path], tmp_path: Path
) -> None:
    """Hot keys, small and large requests: one payload for all of them measures a cache."""
    weighted = [f"{three[0]}:6", f"{three[1]}:3", str(three[2])]
    words = [word for payload in weighted for word in ("--payload", payload)]

    ran = load(*words, "--users", 1, "--duration", "1s", "--warmup", "0s", "--seed", 3)

    _check_whole(ran, tmp_path)
    # One user sends one after the other: the server saw the very sequence that was drawn.
    expected = list(itertools.islice(mix.share([6.0, 3.0, 1.0], 3, 0, 1), len(_bodies(aws))))
    assert [len(body) - 1 for body in _bodies(aws)] == expected
    assert [row["payload"] for row in _rows(tmp_path)] == expected
    assert len(set(expected)) == 3
    found = _summary(tmp_path)["payloads"]
    counts = Counter(expected)
    assert [each["requests"] for each in found] == [counts[number] for number in range(3)]
    assert [each["payload"] for each in found] == [str(path) for path in three]
    assert f"payload   {three[0]} (sha256 " in ran.err
    assert "1 bytes, in 60%" in ran.err


def test_more_processes_send_the_same_payloads_at_the_same_moments(
    load: "Command", aws: "FakeAws", three: list[Path], tmp_path: Path
) -> None:
    """Who needs a second process to keep up must not get another test by it."""
    words = [word for path in three for word in ("--payload", path)]

    load(*words, "--rate", 60, "--duration", "2s", "--warmup", "0s", "--processes", 2)

    rows = _rows(tmp_path)
    assert [row["worker"] for row in rows] == [0, 1] * 60
    expected = list(itertools.islice(mix.share([1.0, 1.0, 1.0], 0, 0, 1), 120))
    assert [row["payload"] for row in rows] == expected
    assert Counter(len(body) - 1 for body in _bodies(aws)) == Counter(expected)


def test_a_set_of_thousands_reaches_every_process_whole(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """Sent unasked, more than sockets hold were lost, and the run never began."""
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(f'{{"n": {number}, "x": "{"y" * 8000}"}}\n' for number in range(4000)))

    ran = load("--payload-lines", lines, "--users", 2, "--processes", 2, "--duration", "1s")

    _check_whole(ran, tmp_path)
    sent = {json.loads(body)["n"] for body in _bodies(aws)}
    assert sent == {row["payload"] for row in _rows(tmp_path)}
    assert {row["worker"] for row in _rows(tmp_path)} == {0, 1}
    assert max(sent) > 2000


def test_users_who_think_send_no_more_than_their_pauses_leave_room_for(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """A hundred people who read the answers are not a hundred loops."""
    words = ["--users", 4, "--duration", "1500ms", "--warmup", "0s", "--think-time", "300ms-400ms"]

    ran = load(*words)

    _check_whole(ran, tmp_path)
    # Each sends at 0 s at the earliest, and then at most every 300 ms: at 0.3, 0.6, 0.9 and 1.2 s.
    assert 4 <= len(_bodies(aws)) <= 4 * 5
    assert _summary(tmp_path)["users"] == {"wanted": 4, "reached": 4}
    assert "300 ms to 400 ms after the last one is answered" in ran.err


def test_users_come_and_go_without_a_request_cut_off(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """A user who leaves in the middle of an answer would be an error that nobody made."""
    lock = threading.Lock()
    inside, most = [0], [0]

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.1)
        with lock:
            inside[0] -= 1
        return 200, {}, b"{}"

    aws.answer = answer

    ran = load("--user-stages", "0s:6,1s:6,0s:1,1s:1,0s:4,1s:0", "--processes", 2)

    _check_whole(ran, tmp_path)
    summary = _summary(tmp_path)
    assert summary["users"] == {"wanted": 6, "reached": 6}
    assert summary["failures"] == 0
    assert len(_rows(tmp_path)) == len(_bodies(aws)) == summary["requests"]
    assert most[0] == 6


_WAVE = """
from locust import LoadTestShape
print("a shape that prints", flush=True)
class Wave(LoadTestShape):
    ticks = 0
    def tick(self):
        self.ticks += 1
        print("a tick that prints")
        if self.ticks == LAST:
            END
        return (4, 2)
"""


def test_a_shape_says_how_many_users_there_are_until_it_ends(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """Whoever has a LoadTestShape keeps it; what it prints is nobody's business."""
    shape = tmp_path / "wave.py"
    shape.write_text(_WAVE.replace("LAST", "4").replace("END", "return None"))

    ran = load("--shape", shape, "--duration", "1m", "--processes", 2)

    _check_whole(ran, tmp_path)
    summary = _summary(tmp_path)
    assert summary["users"] == {"wanted": 4, "reached": 4}
    assert summary["measured_s"] < 30
    # Of two processes one heard a moment later that it was over; what it sent then is kept.
    assert len(_rows(tmp_path)) == len(_bodies(aws)) >= summary["requests"] > 0
    asked = json.loads((tmp_path / "run" / "run.json").read_text())
    assert asked["plan"]["schedule"]["shape"]["path"] == str(shape)


def test_a_shape_that_ends_waits_for_the_answers_that_are_out(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """Leaving out those that come last would leave out the slowest."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        time.sleep(limits.LOAD_INTERRUPT_GRACE_S + 1.5)
        return 200, {}, b"{}"

    aws.answer = answer
    shape = tmp_path / "wave.py"
    shape.write_text(_WAVE.replace("LAST", "2").replace("END", "return None"))

    ran = load("--shape", shape, "--duration", "1m")

    _check_whole(ran, tmp_path)
    rows = _rows(tmp_path)
    assert len(rows) == len(_bodies(aws)) == 2
    assert [row["status"] for row in rows] == [200, 200]


def test_a_shape_that_fails_ends_the_run_and_its_line_is_named(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """Else the run goes on with the last number of users to the end, and passes for whole."""
    shape = tmp_path / "wave.py"
    shape.write_text(_WAVE.replace("LAST", "3").replace("END", "raise KeyError('night')"))

    ran = load("--shape", shape, "--duration", "1m")

    assert ran.code == 3, ran.err
    reason, *_lag = _summary(tmp_path)["reasons"]
    assert reason == f"the shape ended the run: line 10 of {shape} raised KeyError: 'night'"
    assert f"INVALID   {reason}" in ran.err
    assert len(_rows(tmp_path)) == len(_bodies(aws)) > 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("class One(Exception): pass\n", "has no class of its own that is a LoadTestShape"),
        (
            "import nothing_of_the_kind\nclass One(nothing_of_the_kind.Shape): pass\n",
            "raised ModuleNotFoundError: No module named",
        ),
        ("class One(Exception): pass\nraise SystemExit(2)\n", "raised SystemExit: 2"),
    ],
)
def test_a_file_without_a_shape_is_refused_before_anything_is_sent(
    load: "Command", aws: "FakeAws", tmp_path: Path, text: str, sentence: str
) -> None:
    """A sentence about the user's file, not a traceback through ours."""
    shape = tmp_path / "shape.py"
    shape.write_text(text)

    ran = load("--shape", shape, "--duration", "1m")

    assert ran.code == 4, ran.err
    assert "The shape cannot be used: " in ran.err
    assert sentence in ran.err
    assert "Traceback" not in ran.err
    assert not _bodies(aws)
