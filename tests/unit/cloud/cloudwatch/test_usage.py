"""What processes take, read from real ones; what that is in percents, from made-up readings."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from windtunnel.cloud.cloudwatch.usage import (
    Meter,
    Reading,
    Target,
    by_metric,
    cpu_percent,
    memory_bytes,
    read,
)
from windtunnel.core import limits

# A parent that waits, a child that holds 64 MB and has used a quarter of a second of processor, and
# one that used as much and has ended.
_TREE = """
import subprocess, sys
burn = "import time\\nwhile time.process_time() < 0.25: pass\\n"
subprocess.run([sys.executable, "-c", burn], check=True)
held = "held = bytearray(64 << 20)\\n"
child = subprocess.Popen(
    [sys.executable, "-c", burn + held + "print('ready', flush=True)\\ninput()"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
)
child.stdout.readline()
print("ready", flush=True)
input()
child.stdin.close()
child.wait()
"""


@contextmanager
def _tree() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", _TREE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.stdin.close()


@pytest.mark.slow
def test_a_whole_tree_is_read_also_what_has_ended() -> None:
    """Model servers are children of children, and some of them have already gone."""
    with _tree() as pid:
        reading = read(pid, time.time(), is_kept=False)
        without_root = read(pid, time.time(), is_kept=True)

        assert reading is not None
        assert without_root is not None
        # Two processes burnt a quarter of a second each, one of which is no more.
        assert reading.cpu_s >= 0.49
        assert 0.24 <= without_root.cpu_s < reading.cpu_s
        assert without_root.memory_bytes < reading.memory_bytes
        # Of the child's 64 MB nobody else has a share.
        assert without_root.memory_bytes >= 64 << 20
    assert read(pid, time.time(), is_kept=False) is None


def _reading(at_s: float, cpu_s: float, root: tuple[int, float] = (1, 1000.0)) -> Reading:
    return Reading(at_s, root, cpu_s, 0)


@pytest.mark.parametrize(
    ("before", "now", "percent"),
    [
        # Four busy cores are 400 %.
        (_reading(1000, 10), _reading(1060, 250), 400),
        (_reading(1000, 10), _reading(1060, 10), 0),
        # The first look is at everything since the start.
        (None, _reading(1030, 15), 50),
        # A container that was started again is a new one.
        (_reading(1060, 900), _reading(1090, 6, (2, 1070.0)), 30),
        # What ended and was not waited for takes its time with it.
        (_reading(1000, 10), _reading(1060, 4), 0),
        (None, _reading(1000, 0), 0),
    ],
)
def test_the_processors_utilisation_is_summed_over_cores(
    before: Reading | None, now: Reading, percent: float
) -> None:
    """A threshold of 300 % for four vCPU means the same here as on AWS."""
    assert cpu_percent(before, now) == pytest.approx(percent)


def test_memory_is_of_the_type_that_is_stood_in_for() -> None:
    """What fits an ml.c5.large's 4 GiB is the question; this machine's memory is not."""
    assert memory_bytes("ml.c5.large") == 4 * limits.GIB
    assert memory_bytes("ml.c5.xlarge") == 8 * limits.GIB
    assert memory_bytes("ml.unheard-of.large") == psutil.virtual_memory().total


@pytest.mark.slow
def test_instances_that_are_gone_are_passed_over(tmp_path: Path) -> None:
    """An instance that ends while it is looked at must not hide the others."""
    log = tmp_path / "log"
    log.write_bytes(b"x" * 1000)
    with _tree() as pid:
        here = Target("i-1", "e", "v", "ml.c5.large", pid, False, 2000, log)
        gone = Target("i-2", "e", "v", "ml.c5.large", 2**22 + 1, False, 0, tmp_path / "none")
        (usage,) = Meter(tmp_path, time.time).look([gone, here])
    percents = by_metric(usage)
    disk_bytes = psutil.disk_usage(str(tmp_path)).total

    assert usage.target is here
    assert percents["CPUUtilization"] > 0
    assert 64 / 4096 * 100 <= percents["MemoryUtilization"] < 100
    assert percents["DiskUtilization"] == pytest.approx(3000 / disk_bytes * 100)


@pytest.mark.slow
def test_an_instance_without_a_process_is_no_target() -> None:
    """Between a crash and the next start there is nothing to look at."""
    from windtunnel.cloud.fleet.instance import Instance, InstanceSpec

    spec = InstanceSpec("e", "v", "ml.c5.large", "local/command", {}, None)
    instance = Instance(spec, Path("/nonexistent"))

    assert Target.of(instance) is None
    instance.root_pid = os.getpid()
    target = Target.of(instance)
    assert target is not None
    assert (target.endpoint_name, target.instance_type) == ("e", "ml.c5.large")
