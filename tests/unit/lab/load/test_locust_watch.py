"""What is told of a Locust run that misleads, and that nothing is told of one that does not."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from windtunnel.lab.load import locust_launch, locust_watch
from windtunnel.lab.load.locust_watch import Asked, Outcome, Seen, after, before, mended

SOURCE = Path(locust_watch.__file__).parent
FINE = Asked(users=240, spawn_rate=240, run_time_s=60, workers=60)
DONE = Outcome(
    users_asked=240,
    users_reached=240,
    processes=(Seen(users=4, cpu_percent=50, invocations=100, answered=100, clients=1),) * 60,
    master_cpu_percent=20,
    workers=60,
    workers_missed=0,
    sizeless=(),
)


def test_of_a_run_that_does_not_mislead_nothing_is_told() -> None:
    """Whoever is warned of nothing does not read the next warning."""
    assert before(FINE) == []
    assert after(DONE) == []
    assert mended(["-f", "a.py", "-t", "1m", "--run-time=90", "-u", "3"])[1] == []


def test_a_start_too_slow_for_the_run_is_told_with_its_arithmetic() -> None:
    """The workshop's published figures are of 30 users where 240 were asked for."""
    (sentence,) = before(replace(FINE, spawn_rate=None))

    assert sentence == (
        "Locust starts 1 user a second unless told otherwise: 240 users need 4 min, the run lasts "
        "1 min, so at most 60 are ever there. Say -r 240 to start them at once."
    )
    (sentence,) = before(replace(FINE, spawn_rate=8))
    assert sentence.startswith("Locust starts 8 users a second: 240 users need 30 s")
    assert "until then fewer are there" in sentence


@pytest.mark.parametrize("asked", [{"run_time_s": None}, {"users": 1}, {"spawn_rate": 100}])
def test_a_start_that_is_quick_beside_the_run_is_not_told(asked: dict[str, float]) -> None:
    """A ramp is no fault."""
    assert before(replace(FINE, workers=1, **asked)) == []  # type: ignore[arg-type]


def test_users_that_workers_cannot_share_are_told_with_the_next_best_numbers() -> None:
    """Users of a worker with more of them wait longer, and the percentiles are of both kinds."""
    (sentence,) = before(replace(FINE, users=10, workers=4))
    assert sentence.endswith("Take 8 or 12 users.")
    (sentence,) = before(replace(FINE, users=3, workers=4))
    assert sentence.endswith("Take 4 users.")


def test_users_who_never_wait_are_told_of() -> None:
    """A closed loop hides the stall that it was sent to find."""
    (sentence,) = before(replace(FINE, hurried=("MyUser",)))

    assert sentence.startswith("MyUser has no wait_time")
    assert "--rate N" in sentence


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (["-t", "1mg"], ["-t", "1m"]),
        (["-t1mg"], ["-t1m"]),
        (["--run-time", "1h30mx", "-u", "1"], ["--run-time", "1h30m", "-u", "1"]),
        (["--run-time=90sec"], ["--run-time=90s"]),
        # What no Locust understands stays, and Locust says so.
        (["-t", "soon"], ["-t", "soon"]),
        (["-t"], ["-t"]),
        (["-H", "1mg", "--tags", "t1mg"], ["-H", "1mg", "--tags", "t1mg"]),
    ],
)
def test_a_run_time_is_taken_as_older_locusts_took_it(words: list[str], done: list[str]) -> None:
    """The workshop's script must start on a Locust of today, and its user must know of it."""
    made, remarks = mended(words)

    assert made == done
    assert bool(remarks) == (words != done)


def _told(**changes: object) -> str:
    (sentence,) = after(replace(DONE, **changes))  # type: ignore[arg-type]
    return sentence


def test_users_who_never_came_are_told_of() -> None:
    """The table says 240 nowhere, and 60 only in a file."""
    assert _told(users_reached=60).startswith("of 240 users 60 were ever there")


def test_empty_bodies_are_counted_over_all_workers() -> None:
    """A model that refuses nothing at once looks fast."""
    seen = Seen(users=4, invocations=100, empty=75, answered=25, clients=1)

    assert _told(processes=(seen, seen)).startswith("150 of 200 requests had an empty body")


def test_sizes_that_are_not_reported_are_told_only_where_answers_had_any() -> None:
    """An endpoint that answers nothing is not the script's fault."""
    assert "SageMaker" in _told(sizeless=("SageMaker",))
    empty = Seen(users=4, invocations=100, clients=1)
    assert after(replace(DONE, processes=(empty,), sizeless=("SageMaker",))) == []


def test_a_client_a_user_is_told_of_and_one_a_process_is_not() -> None:
    """A client takes longer to make than a request to send, and 8 MB."""
    own = Seen(users=4, invocations=100, answered=100, clients=4)

    assert _told(processes=(own, own)).startswith("8 boto3 clients served 8 users")
    assert after(replace(DONE, processes=(replace(own, users=1, clients=1),))) == []


def test_silent_workers_are_told_of() -> None:
    """Sixty workers on two cores: 59 were given up, and one had all the users."""
    assert _told(workers_missed=59).startswith("59 of 60 workers were silent")


def test_who_had_no_processor_left_is_told() -> None:
    """Latencies of a busy generator are the generator's."""
    assert _told(master_cpu_percent=97).startswith("the master was busy for 97%")
    busy = Seen(users=4, cpu_percent=99)
    assert _told(processes=(busy,)).startswith("1 of 1 Locust workers had no processor")
    assert _told(processes=(busy,), master_cpu_percent=None).startswith("Locust itself had no")


@pytest.mark.parametrize("name", ["locust_watch.py", "locust_plugin.py"])
def test_the_watch_runs_in_a_python_as_old_as_a_users_locust(name: str) -> None:
    """It runs where Locust is installed: nothing of ours is there, and Python may be years old."""
    tree = ast.parse((SOURCE / name).read_text(), feature_version=(3, 8))

    assert isinstance(tree.body[1], ast.ImportFrom)
    assert tree.body[1].module == "__future__"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            allowed = name == "locust_plugin.py" and node.module == "windtunnel.lab.load"
            assert allowed or not (node.module or "").startswith("windtunnel")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#!/opt/env/bin/python3.9\n", ["/opt/env/bin/python3.9"]),
        ("#!/usr/bin/env python3\n", ["/usr/bin/env", "python3"]),
        ("#!/opt/env/bin/python -E\n", ["/opt/env/bin/python", "-E"]),
        # pip and uv, where a path is long or has spaces.
        ("#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\n", ["/a b/bin/python"]),
        ("#!/bin/sh\n'''exec' \"$(dirname \"$0\")/python\" \"$0\" \"$@\"\n' '''\n", None),
        ("#!/usr/bin/env bash\nexec locust\n", None),
        ("\x7fELF", None),
        ("", None),
    ],
)
def test_a_script_is_run_by_its_own_python(
    text: str, found: list[str] | None, tmp_path: Path
) -> None:
    """Locust lives in one environment; another's Python would not find it."""
    script = tmp_path / "locust"
    script.write_text(text)

    assert locust_launch.interpreter_of(str(script)) == found


def test_the_real_locust_is_the_one_that_would_be_found_without_us(tmp_path: Path) -> None:
    """A `run` within a `run` has two of our files on its PATH: neither may start the other."""
    for directory in ("a/windtunnel-shims", "b/windtunnel-shims", "c"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "locust").write_text("#!/bin/sh\n")
        (tmp_path / directory / "locust").chmod(0o700)
    path = ":".join(str(tmp_path / name) for name in ("a/windtunnel-shims", "b/windtunnel-shims"))

    assert locust_launch.real_locust(f"{path}:{tmp_path / 'c'}") == str(tmp_path / "c" / "locust")
    assert locust_launch.real_locust(path) is None
