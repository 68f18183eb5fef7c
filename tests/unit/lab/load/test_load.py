"""`windtunnel load` with real load processes, against a fake of the endpoint's side."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow.parquet as pq
import pytest
from tests import processes

from windtunnel.core.home import Home
from windtunnel.lab.load import arrivals
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.load.plan import schedule_from_json

if TYPE_CHECKING:
    from tests.unit.lab.conftest import FakeAws, Ran

    Command = Callable[..., Ran]

# Starting a load process takes a second or two: Locust is imported anew.
pytestmark = pytest.mark.slow


@pytest.fixture
def endpoint(windtunnel: "Command", aws: "FakeAws", archive: Path) -> str:
    """Return the name of an endpoint in service that answers after 5 ms."""
    aws.statuses = ["InService"]

    def answer(_asked: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.005)
        return 200, {"Content-Type": "application/json"}, b'{"predictions": [1]}'

    aws.answer = answer
    ran = windtunnel("deploy", archive, "--endpoint-name", "unet", "--env", "OMP_NUM_THREADS=1")
    assert ran.code == 0, ran.err
    aws.asked.clear()
    return "unet"


def _sent(aws: "FakeAws") -> int:
    return aws.actions().count("InvokeEndpoint")


def _kept(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / "requests.parquet").to_pylist()
    return rows


def _words(endpoint: str, payload: Path, out: Path, *more: object) -> list[object]:
    return ["load", endpoint, "--payload", payload, "--out", out, *more]


def test_every_request_that_was_sent_is_kept_and_told(
    windtunnel: "Command", aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """The server's own count is the oracle: none invented, none lost, none sent unsaid."""
    out = tmp_path / "runs" / "first"

    ran = windtunnel(
        *_words(endpoint, payload_file, out, "--users", 3, "--duration", "1s", "--warmup", "0.5s"),
        *("--slo", "p50=5s", "--json"),
    )

    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert summary == json.loads((out / "summary.json").read_text())
    rows = _kept(out)
    assert len(rows) == _sent(aws) == summary["requests"] + summary["warmup_requests"]
    assert all(0 <= row["due_s"] <= row["sent_s"] <= row["done_s"] for row in rows)
    assert summary["failures"] == 0
    assert summary["latency_s"]["p50"] >= 0.005
    assert summary["users"] == {"wanted": 3, "reached": 3}
    assert summary["hardware"]["instances"].startswith("ml.c5.large (stand-in: ")
    asked = json.loads((out / "run.json").read_text())
    assert asked["endpoint"]["variants"][0]["environment"] == {"OMP_NUM_THREADS": "1"}
    assert asked["plan"]["payloads"][0]["bytes"] == payload_file.stat().st_size
    assert (out / "report.html").stat().st_size > 1_000_000


def test_what_is_sent_is_the_payload_signed_with_the_homes_own_key(
    windtunnel: "Command",
    aws: "FakeAws",
    home: Home,
    endpoint: str,
    payload_file: Path,
    tmp_path: Path,
) -> None:
    """In the workshop three of four users sent an empty body, and nobody noticed."""
    windtunnel(
        *_words(endpoint, payload_file, tmp_path / "run", "--users", 4, "--duration", "500ms"),
        *("--warmup", "0s", "--content-type", "text/plain", "--accept", "text/csv"),
    )

    sent = [asked for asked in aws.asked if asked.action == "InvokeEndpoint"]
    assert {asked.body for asked in sent} == {payload_file.read_bytes()}
    for asked in sent:
        assert asked.headers["content-type"] == "text/plain"
        assert asked.headers["accept"] == "text/csv"
        assert f"Credential={home.credentials().access_key_id}/" in asked.headers["authorization"]


def test_users_are_spread_over_processes(
    windtunnel: "Command", aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """One process is one core; a large machine needs several to be loaded."""
    out = tmp_path / "run"

    ran = windtunnel(
        *_words(endpoint, payload_file, out, "--users", 4, "--processes", 2, "--duration", "2s")
    )

    assert ran.code == 0, ran.err
    rows = _kept(out)
    assert len(rows) == _sent(aws)
    assert set(Counter(row["worker"] for row in rows)) == {0, 1}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["users"] == {"wanted": 4, "reached": 4}
    assert summary["valid"], summary["reasons"]


def test_requests_at_a_rate_are_sent_whatever_the_others_wait_for(
    windtunnel: "Command", aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """Two users would send 20 a second to this endpoint, and call its 100 ms the latency."""

    def answer(_asked: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.1)
        return 200, {}, b"{}"

    aws.answer = answer
    out = tmp_path / "run"
    words = ["--rate", 100, "--arrivals", "poisson", "--seed", 5, "--duration", "1s"]

    ran = windtunnel(*_words(endpoint, payload_file, out, *words))

    assert "schedule  100 requests a second, a Poisson process (seed 5)" in ran.err
    summary = json.loads((out / "summary.json").read_text())
    plan = json.loads((out / "run.json").read_text())["plan"]
    schedule = schedule_from_json(plan["schedule"])
    assert isinstance(schedule, OpenSchedule)
    assert schedule.seed == 5
    due_s = list(arrivals.share(schedule.read_arrivals(), 0, 1))
    assert [row["due_s"] for row in _kept(out)] == pytest.approx(due_s, abs=1e-8)
    assert len(due_s) == _sent(aws) == summary["requests"] + summary["warmup_requests"]
    assert summary["arrivals"]["due"] == summary["requests"]
    assert summary["arrivals"]["connections"] > 2
    assert b" requests/s, on " in ran.out
    assert (out / "report.html").stat().st_size > 1_000_000


def test_a_trace_is_replayed(
    windtunnel: "Command", aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """Yesterday's traffic, an hour of it in a second."""
    trace = tmp_path / "trace.csv"
    trace.write_text(
        "period,count\n2026-01-01 00:00:00,9\n2026-01-01 01:00:00,30\n2026-01-01 02:00:00,6\n"
    )
    out = tmp_path / "run"
    words = ["--trace", trace, "--trace-from", "2026-01-01 01", "--trace-speed", 3600]

    ran = windtunnel(*_words(endpoint, payload_file, out, *words))

    assert "requests as in trace.csv from 2026-01-01 01, speed 3600 times, evenly" in ran.err
    expected = [i / 30 for i in range(30)] + [1 + i / 6 for i in range(6)]
    assert [row["due_s"] for row in _kept(out)] == pytest.approx(expected, abs=1e-8)
    assert _sent(aws) == 36


def test_a_failing_model_is_counted_quoted_and_status_1(
    windtunnel: "Command", aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """A run that nothing answered well must not pass a pipeline for want of an objective."""
    body = {"Message": "m", "OriginalStatusCode": 500, "OriginalMessage": "out of memory"}

    def answer(_asked: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.005)
        return 424, {"x-amzn-ErrorType": "ModelError"}, json.dumps(body).encode()

    aws.answer = answer
    ran = windtunnel(
        *_words(endpoint, payload_file, tmp_path / "run", "--users", 1, "--duration", "500ms"),
        *("--warmup", "0s"),
    )

    assert ran.code == 1, ran.err
    assert b"ModelError (424, the model answered 500): out of memory" in ran.out


def test_an_endpoint_that_goes_away_is_in_the_record_and_makes_the_run_invalid(
    windtunnel: "Command", aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """Its moment is kept; but an average over a time without an endpoint must not pass."""
    out = tmp_path / "run"

    def answer(_asked: object) -> tuple[int, dict[str, str], bytes]:
        if _sent(aws) == 20:
            aws.close()
        closing = {"Connection": "close"} if _sent(aws) >= 20 else {}
        time.sleep(0.005)
        return 200, closing, b"{}"

    aws.answer = answer
    words = ["--users", 2, "--duration", "2s", "--warmup", "0s"]
    ran = windtunnel(*_words(endpoint, payload_file, out, *words))

    assert ran.code == 3, ran.err
    assert "INVALID   the endpoint stopped answering " in ran.err
    assert " into the 2 s that were measured" in ran.err
    kinds = Counter(row["error"] for row in _kept(out))
    assert kinds[None] >= 20
    # Users that wait between tries do not fill the record with refusals.
    assert 1 <= kinds["connection refused"] <= 100


def test_too_few_requests_are_not_a_pass(
    windtunnel: "Command", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """Ten good requests say nothing about one in a hundred."""
    ran = windtunnel(
        *_words(endpoint, payload_file, tmp_path / "run", "--users", 1, "--duration", "300ms"),
        *("--warmup", "0s", "--slo", "p99=5s"),
    )

    assert ran.code == 1
    assert b"undecided p99=5s" in ran.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--users", "1", "--duration", "1mg"], "not a length of time"),
        (["--users", "1", "--duration", "0s"], "longer than nothing"),
        (["--users", "0", "--duration", "1s"], "--users"),
        (["--users", "2", "--processes", "3", "--duration", "1s"], "--processes"),
        (["--users", "1", "--duration", "1s", "--slo", "p95=150"], "not a length of time"),
        (["--users", "1", "--duration", "1s", "--payload", "/dev/null"], "is empty"),
        (["--users", "1"], "--users needs a --duration"),
        (["--duration", "1s"], "one of --users, --user-stages, --shape, --rate"),
        (["--users", "1", "--rate", "1", "--duration", "1s"], "--users and --rate are two kinds"),
        (["--user-stages", "1s:x"], "is not a duration and a number of users"),
        (["--user-stages", "1s:0"], "never have a user"),
        (["--user-stages", "1s:2", "--duration", "2s"], "leave --duration out"),
        (["--user-stages", "1s:2", "--processes", "3"], "have no use for 2 users"),
        (["--shape", "/none", "--duration", "1s"], "/none cannot be read"),
        (["--shape", "/bin/sh", "--duration", "1s"], "is not Python"),
        (["--shape", __file__, "--duration", "1s"], "has no class that is a LoadTestShape"),
        (["--users", "1", "--duration", "1s", "--think-time", "2s-1s"], "from more to less"),
        (["--users", "1", "--duration", "1s", "--think-time", "2h"], "at most 10 m"),
        (["--rate", "1", "--duration", "1s", "--think-time", "1s"], "--think-time means nothing"),
        (["--users", "1", "--duration", "1s", "--payload-lines", "/dev/null"], "is empty"),
        (["--users", "1", "--duration", "1s", "--master"], "how many --workers"),
        (["--users", "1", "--duration", "1s", "--workers", "2"], "--workers goes with --master"),
        (["--worker"], "--worker needs the --master-host"),
        (
            ["--worker", "--master-host", "x", "--users", "1"],
            "--payload and --users and --out mean nothing with --worker",
        ),
        (["--worker", "--master-host", "x", "--bind-host", "y"], "--bind-host goes with --master"),
        (["--users", "1", "--duration", "1s", "--master-port", "1"], "goes with --master or --w"),
        (["--users", "2", "--duration", "1s", "--master", "--workers", "3"], "lower --workers"),
        (["--stages", "1s:1", "--trace", "x"], "--stages and --trace are two kinds"),
        (["--rate", "1"], "--rate needs a --duration"),
        (["--rate", "inf", "--duration", "1s"], "a number of requests a second, not inf"),
        (["--users", "1", "--duration", "1s", "--think-time=-2s"], "--think-time -2s is not a"),
        (["--users", "1", "--duration", "1s", "--baseline", "nodir"], "--baseline nodir cannot be"),
        (["--rate", "0", "--duration", "1s"], "--rate must be more than 0"),
        (["--rate", "1", "--processes", "0", "--duration", "1s"], "--processes"),
        (["--rate", "1", "--spawn-rate", "1", "--duration", "1s"], "--spawn-rate means nothing"),
        (["--rate", "1", "--trace-speed", "2", "--duration", "1s"], "--trace-speed means nothing"),
        (["--users", "1", "--arrivals", "poisson", "--duration", "1s"], "--arrivals means nothing"),
        (["--rate", "1", "--seed", "1", "--duration", "1s"], "--seed goes with"),
        (["--capacity"], "--capacity needs a --duration"),
        (["--capacity", "--users", "1", "--duration", "1s"], "--users means nothing with --cap"),
        (
            ["--capacity", "--user-stages", "1s:1", "--duration", "1s"],
            "--user-stages means nothing",
        ),
        (["--capacity", "--shape", "x", "--duration", "1s"], "--shape means nothing with"),
        (["--capacity", "--think-time", "1s", "--duration", "1s"], "--think-time means nothing"),
        (
            ["--capacity", "--duration", "1s", "--master", "--workers", "2"],
            "--master means nothing with --capacity",
        ),
        (["--capacity", "--duration", "1s", "--ui"], "--ui means nothing with --capacity"),
        (["--capacity", "--duration", "1s", "--csv", "x"], "--csv means nothing with --capacity"),
        (["--capacity", "--stages", "1s:1", "--duration", "1s"], "--stages means nothing with"),
        (["--capacity", "--trace", "x", "--duration", "1s"], "--trace means nothing with"),
        (["--capacity", "--spawn-rate", "1", "--duration", "1s"], "--spawn-rate means nothing"),
        (["--capacity", "--rate", "0", "--duration", "1s"], "--rate must be more than 0"),
        (["--capacity", "--seed", "1", "--duration", "1s"], "--seed goes with"),
        (["--capacity", "--arrivals", "odd", "--duration", "1s"], "--arrivals is constant or"),
        (["--capacity", "--duration", "0s"], "longer than nothing"),
        (["--capacity", "--processes", "0", "--duration", "1s"], "--processes"),
        (["--capacity", "--duration", "1s", "--baseline", "x"], "--baseline cannot be held"),
        (["--trace", "/none"], "/none cannot be read"),
        (["--trace", "/dev/null", "--trace-scale", "0"], "--trace-scale must be more than 0"),
    ],
)
def test_nonsense_is_refused_before_any_call(
    windtunnel: "Command",
    aws: "FakeAws",
    payload_file: Path,
    tmp_path: Path,
    *,
    words: list[str],
    expected: str,
) -> None:
    """A mistake found after the run costs the run."""
    ran = windtunnel(*_words("unet", payload_file, tmp_path / "run", *words))

    assert ran.code == 2
    assert expected in ran.err
    assert aws.asked == []
    assert not (tmp_path / "run").exists()


def test_all_that_is_missing_is_named_at_once(windtunnel: "Command", tmp_path: Path) -> None:
    """Four words found out one refusal after the other are four tries."""
    none, some = windtunnel("load"), windtunnel("load", "unet", "--out", tmp_path, "--users", 1)

    assert (none.code, some.code) == (2, 2)
    for word in ("the ENDPOINT", "--payload FILE", "--users N or --rate R", "and the directory"):
        assert word in none.err
    assert "Name what to send" in some.err


def test_an_endpoint_that_is_not_in_service_is_status_4(
    windtunnel: "Command", aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """Load on an endpoint that is changing measures the change."""
    words = ["--users", 1, "--duration", "1s"]
    missing = windtunnel(*_words("nobody", payload_file, tmp_path / "run", *words))
    aws.statuses = ["Updating"]
    updating = windtunnel(*_words(endpoint, payload_file, tmp_path / "run", *words))

    assert (missing.code, updating.code) == (4, 4)
    assert "no endpoint nobody" in missing.err
    assert "Updating, not InService" in updating.err
    assert _sent(aws) == 0


def _start(home: Home, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from windtunnel.cli.main import main; main()", *map(str, words)],
        env={**os.environ, "WINDTUNNEL_HOME": str(home.path), "LOCUST_HOST": "http://elsewhere"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _wait_counting(process: subprocess.Popen[str]) -> None:
    """Wait until the run tells its first second."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if "requests/s" in line:
            return
    raise AssertionError("".join(seen))


def test_an_interrupted_run_keeps_what_it_measured(
    home: Home, aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """After an hour, Ctrl-C must not throw the hour away; nor may it pass for a whole run."""
    out = tmp_path / "run"
    words = _words(endpoint, payload_file, out, "--users", 2, "--duration", "60s", "--warmup", "0s")
    process = _start(home, *words)
    _wait_counting(process)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["valid"], summary["reasons"][0]) == (False, "interrupted")
    assert err.startswith("INVALID   interrupted")
    assert 0 < summary["requests"] <= len(_kept(out)) == _sent(aws)
    assert summary["measured_s"] < 30


def test_a_limit_that_one_user_alone_misses_ends_a_search_for_capacity(
    windtunnel: "Command", aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """It is known after seconds that no rate, however low, keeps 1 ms."""
    out = tmp_path / "run"
    junit = out / "junit.xml"
    words = ["--capacity", "--duration", "1s", "--slo", "p90=1ms", "--junit", junit]

    ran = windtunnel(*_words(endpoint, payload_file, out, *words))

    assert ran.code == 1, ran.err
    assert ran.out.decode().startswith(
        "capacity  no rate keeps p90=1ms: one user alone misses it (0 steps)\n"
    )
    assert "schedule  a search for the highest rate, from half of what one user" in ran.err
    assert f"steps     {out / 'steps'}" in ran.err
    capacity = json.loads((out / "summary.json").read_text())["capacity"]
    assert (capacity["outcome"], capacity["rate_rps"]) == ("none", None)
    assert capacity["alone"]["requests"] == _sent(aws) == len(_kept(out))
    assert 'name="capacity"' in junit.read_text()
    assert "one user alone misses it" in (out / "report.html").read_text()


def test_an_interrupted_search_for_capacity_keeps_its_steps(
    home: Home, aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """A search takes minutes; what it measured until Ctrl-C is not thrown away."""
    out = tmp_path / "run"
    words = ["--capacity", "--rate", 10, "--duration", "60s"]
    process = _start(home, *_words(endpoint, payload_file, out, *words))
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("alone"):
            break
    _wait_counting(process)

    process.send_signal(signal.SIGINT)
    said, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    assert "capacity  interrupted: no rate had held, nothing was confirmed (0 steps)" in said
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["valid"], summary["reasons"][0]) == (False, "interrupted")
    assert summary["capacity"]["outcome"] == "interrupted"
    assert len(_kept(out / "steps" / "00")) + len(_kept(out / "steps" / "01")) == _sent(aws)


def _load_processes(process: subprocess.Popen[str]) -> dict[str, list[psutil.Process]]:
    """Return the load processes of a run by role."""
    found: dict[str, list[psutil.Process]] = {}
    for child in processes.below(process.pid, "windtunnel.lab.load.generator"):
        words = child.cmdline()
        role = words[words.index("windtunnel.lab.load.generator") + 1]
        found.setdefault(role, []).append(child)
    return found


def test_a_lost_worker_makes_the_run_invalid(
    home: Home, endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """Half of the load is another load; its numbers must not pass for the whole's."""
    out = tmp_path / "run"
    words = ["--users", 2, "--processes", 2, "--duration", "60s", "--warmup", "0s"]
    process = _start(home, *_words(endpoint, payload_file, out, *words))
    _wait_counting(process)

    _load_processes(process)["worker"][0].kill()
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3, err
    summary = json.loads((out / "summary.json").read_text())
    (reason,) = summary["reasons"]
    assert "was lost" in reason
    assert reason.endswith("into the run, and with it 1 of 2 users")
    # What it had measured until then is kept.
    assert {row["worker"] for row in _kept(out)} == {0, 1}


def test_no_load_process_outlives_the_command(
    home: Home, endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """A generator left behind by kill -9 would go on loading an endpoint, unseen."""
    words = ["--users", 2, "--processes", 2, "--duration", "60s"]
    process = _start(home, *_words(endpoint, payload_file, tmp_path / "run", *words))
    _wait_counting(process)
    children = [child for each in _load_processes(process).values() for child in each]
    assert len(children) == 3

    process.kill()
    process.communicate(timeout=30)
    _, alive = psutil.wait_procs(children, timeout=30)

    assert alive == []


def test_importing_the_package_leaves_the_process_as_it_was() -> None:
    """Locust patches sockets and threads on import; a notebook would break in strange ways."""
    code = (
        "import sys, socket; before = socket.socket; import windtunnel.lab.load as load;"
        "assert 'locust' not in sys.modules and 'gevent' not in sys.modules;"
        "assert socket.socket is before;"
        "assert load.EndpointUser.__name__ == 'EndpointUser' and 'locust' in sys.modules"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_an_endpoint_user_works_in_anybodys_locustfile(
    home: Home, aws: "FakeAws", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """Whoever has a locustfile keeps it, and gets signed requests and true sizes."""
    # Locust writes its files once a second, and not at its end: two users take two for this many.
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(
        "import gevent\n"
        "from locust import constant, task\n"
        "from windtunnel.lab.load import EndpointUser\n"
        "class Caller(EndpointUser):\n"
        f"    payload = {str(payload_file)!r}\n"
        "    wait_time = constant(0.05)\n"
        "    answered = 0\n"
        "    @task\n"
        "    def predict(self):\n"
        "        assert self.invoke().status == 200\n"
        "        Caller.answered += 1\n"
        "        if Caller.answered == 80:\n"
        "            gevent.spawn(self.environment.runner.quit)\n"
    )

    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "-u", "2"),
            *("-r", "2", "-t", "60s", "-H", f"https://{endpoint}", "--csv", str(tmp_path / "s")),
        ],
        env={**os.environ, "WINDTUNNEL_HOME": str(home.path)},
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    last = (tmp_path / "s_stats.csv").read_text().splitlines()[-1].split(",")
    assert int(last[2]) > 0
    assert _sent(aws) >= int(last[2])
    # Average content size: the workshop's script reported none.
    assert float(last[8]) == len('{"predictions": [1]}')
