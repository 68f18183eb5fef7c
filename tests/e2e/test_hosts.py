"""Load from several hosts: real workers in networks of their own, against a real local cloud."""

import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.e2e.networks import Command, Host, hosts, wait_until
from tests.e2e.play import archive_of
from tests.processes import end_by_themselves

_ECHO = Path(__file__).parents[2] / "benchmarks" / "echo_server.py"


@dataclass
class Grounds:
    """A host with the cloud and the master, two more for workers, and where a test puts things."""

    master: Host
    workers: list[Host]
    home: Path
    payload: Path

    def load(self, out: Path, *words: object) -> Command:
        """Start a master that measures `echo`."""
        return self.master.start(
            *("load", "echo", "--home", self.home, "--payload", self.payload, "--out", out),
            *("--master", *words),
        )

    def work(self, host: Host, *words: object) -> Command:
        """Start workers on a host."""
        return host.start(
            *("load", "--worker", "--home", self.home, "--master-host", self.master.address),
            *words,
        )


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    """Return hosts, and an endpoint that gives back what it gets, all for this module's tests."""
    directory = tmp_path_factory.mktemp("hosts")
    with hosts(3, directory) as (master, *workers):
        made = Grounds(master, workers, directory / "home", directory / "payload.json")
        made.payload.write_text('{"instances": [[1.0, 2.0]]}')
        cloud = master.start("up", "--home", made.home, "--host", master.address, "--port", 8000)
        cloud.wait_for("ready http")
        archive = directory / "model.tar.gz"
        archive.write_bytes(archive_of({"empty": b""}))
        deployed = master.start(
            *("deploy", archive, "--home", made.home, "--endpoint-name", "echo"),
            *("--image", "local/command"),
            *("--env", f"WINDTUNNEL_COMMAND={sys.executable} {_ECHO}"),
        )
        assert deployed.end() == 0, deployed.err
        yield made


def _rows(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / "requests.parquet").to_pylist()
    return rows


def _summary(out: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def test_two_hosts_make_one_run(grounds: Grounds, tmp_path: Path) -> None:
    """Twice the machines must be twice the users in one result, not two results to add by hand."""
    out = tmp_path / "run"
    master = grounds.load(
        out, *("--workers", 2, "--users", 5, "--duration", "3s", "--warmup", "0s")
    )
    workers = [grounds.work(host) for host in grounds.workers]

    # Where others keep this machine busy, the generator says that it fell behind: still one run.
    assert master.end() in {0, 3}, master.err
    assert [worker.end() for worker in workers] == [0, 0]

    rows, summary = _rows(out), _summary(out)
    assert all(reason.startswith("the generator fell behind") for reason in summary["reasons"])
    assert summary["users"] == {"wanted": 5, "reached": 5}
    assert summary["failures"] == 0
    assert {row["worker"] for row in rows} == {0, 1}
    assert len(rows) == summary["requests"]
    # What the hosts say that they sent is what the master has.
    said = [worker.err.split("done: ")[1].split()[0] for worker in workers]
    assert sum(int(count.replace(",", "")) for count in said) == len(rows)
    assert summary["hardware"]["describes"] == "master of the generators and endpoint"
    assert f"sends to endpoint echo at http://{grounds.master.address}:8000" in workers[0].err
    # Their clock is one clock: nothing is due before the start, or after the end.
    assert all(0 <= row["due_s"] < 3 for row in rows)


def test_workers_that_die_hang_or_are_stopped_are_named_with_their_share(
    grounds: Grounds, tmp_path: Path
) -> None:
    """A part of the load is another load: the run ends, says who is missing, keeps what it has."""
    out = tmp_path / "run"
    master = grounds.load(
        out, *("--workers", 4, "--users", 7, "--duration", "10m", "--warmup", "0s")
    )
    mostly, one = (
        grounds.work(grounds.workers[0], "--processes", 3),
        grounds.work(grounds.workers[1]),
    )
    master.wait_for("requests/s")
    killed, hung, _survivor = mostly.load_processes()
    (stopped,) = one.load_processes()

    hung.send_signal(signal.SIGSTOP)
    killed.kill()
    one.interrupt()

    assert master.end() == 3, master.err
    reasons = [line for line in master.err.splitlines() if line.startswith("INVALID")]
    shares = []
    for process in (killed, hung, stopped):
        (reason,) = [line for line in reasons if f"process {process.pid} on " in line]
        assert " was lost, last heard of " in reason
        shares.append(int(reason.split(" and with it ")[1].removesuffix(" of 7 users")))
    # Seven users in four processes: 2, 2, 2 and 1.
    assert sum(shares) in {5, 6}
    # What the lost ones had measured until then is kept beside the survivor's.
    assert {row["worker"] for row in _rows(out)} == {0, 1, 2, 3}
    assert one.end() == 130
    assert "interrupted: the master has what was measured so far" in one.err
    hung.send_signal(signal.SIGCONT)
    assert mostly.end() == 4
    assert f"process {killed.pid} was ended by SIGKILL before the run was over" in mostly.err


def test_a_late_worker_is_turned_away_and_an_interrupt_keeps_what_was_measured(
    grounds: Grounds, tmp_path: Path
) -> None:
    """Load that grows unasked in the middle is no measurement; nor is Ctrl-C a loss."""
    out = tmp_path / "run"
    master = grounds.load(
        out, *("--workers", 2, "--users", 2, "--duration", "10m", "--warmup", "0s")
    )
    workers = [grounds.work(host) for host in grounds.workers]
    master.wait_for("requests/s")

    late = grounds.work(grounds.workers[0])

    assert late.end() == 4, late.err
    assert "turned away: the run has begun without it" in late.err
    assert "Traceback" not in late.err
    master.interrupt()
    assert master.end() == 130, master.err
    assert [worker.end() for worker in workers] == [0, 0]
    rows, summary = _rows(out), _summary(out)
    assert summary["reasons"][0] == "interrupted"
    assert not any("lost" in reason for reason in summary["reasons"])
    assert summary["failures"] == 0
    assert {row["worker"] for row in rows} == {0, 1}
    # Each host hears of the interrupt at its own moment; what counts ends with the first.
    assert 0 < summary["requests"] <= len(rows)
    (note,) = [text for text in summary["warnings"] if "turned away" in text]
    assert f"warning   {note}" in master.err
    assert "the run has begun without it" in note


def test_workers_whose_master_is_gone_stop_and_say_so(grounds: Grounds, tmp_path: Path) -> None:
    """A load that nobody counts any more is an attack on whoever owns the endpoint."""
    master = grounds.load(
        tmp_path / "run", *("--workers", 2, "--users", 2, "--duration", "10m", "--warmup", "0s")
    )
    workers = [grounds.work(host) for host in grounds.workers]
    master.wait_for("requests/s")
    processes = [process for worker in workers for process in worker.load_processes()]
    assert len(processes) == 2

    master.process.kill()

    assert [worker.end() for worker in workers] == [4, 4]
    for worker in workers:
        assert "the master fell silent for 10 s: stopped sending" in worker.err
        assert "Traceback" not in worker.err
    assert end_by_themselves(processes)


def test_a_run_that_lacks_workers_says_who_is_there_and_sends_nothing(
    grounds: Grounds, tmp_path: Path
) -> None:
    """Whoever started ten pods must see which one is missing, and not wait for it for ever."""
    out = tmp_path / "run"
    # Before its master, which it waits for.
    worker = grounds.work(grounds.workers[0])
    wait_until(lambda: bool(worker.load_processes()), lambda: worker.err)
    (process,) = worker.load_processes()
    other = grounds.work(grounds.workers[1], "--master-port", 5558)
    master = grounds.load(
        out,
        *("--workers", 2, "--users", 2, "--duration", "10m", "--workers-timeout", "6s"),
    )

    assert master.end() == 4, master.err
    assert "1 of 2 workers were here within 6 s" in master.err
    assert f"(process {process.pid} on " in master.err
    assert "Traceback" not in master.err
    assert not list(out.iterdir())
    assert worker.end() == 4
    assert "the master ended before this worker was through" in worker.err
    # One that waits at the wrong port, and can be told so.
    other.interrupt()
    assert other.end() == 130
    assert "interrupted: no master had come" in other.err
