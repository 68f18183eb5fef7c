"""Forks start clean and report whole lines."""

import os
import signal
import subprocess
import sys

from windtunnel.serving.children import ReportLines, Reports


def test_reports_are_whole_whatever_the_pieces() -> None:
    """A pipe gives bytes, not lines."""
    lines = ReportLines()

    assert list(lines.feed(b'{"event": "a"}\n{"eve')) == [{"event": "a"}]
    assert list(lines.feed(b'nt": "b"}\n')) == [{"event": "b"}]


def test_a_report_to_nobody_is_no_error() -> None:
    """A parent that has gone must not make its child fail on the way out."""
    reader, writer = os.pipe()
    os.close(reader)
    Reports(writer).send("available")
    os.close(writer)


def run_alone(program: str) -> str:
    """Run a program in a process of one thread, because this one may have more."""
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_only_what_is_named_stays_open() -> None:
    """A descriptor too many in a fork keeps a pipe alive whose end somebody waits for."""
    program = """
import os
from windtunnel.serving.children import close_descriptors
kept, lost = os.pipe()
close_descriptors(except_for=(kept,))
os.fstat(kept)
try:
    os.fstat(lost)
except OSError:
    print("lost is closed")
"""
    assert run_alone(program) == "lost is closed\n"


def test_a_signal_to_a_young_fork_is_not_its_parents() -> None:
    """Inherited handlers write to the parent's pipe: it would stop for its child's signal."""
    program = """
import os, signal
from windtunnel.serving.children import Wakeups, fork_with_own_signals
wakeups = Wakeups(signal.SIGTERM)
pid = fork_with_own_signals()
if pid == 0:
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), wakeups.read())
"""
    assert run_alone(program) == f"{-signal.SIGTERM:d} set()\n"


def test_a_process_with_threads_does_not_fork() -> None:
    """The child would wait for ever for a lock that a thread held; better to fail at once."""
    program = """
import threading
from windtunnel.serving.children import assert_single_thread
assert_single_thread()
held = threading.Event()
threading.Thread(target=held.wait).start()
try:
    assert_single_thread()
except RuntimeError as error:
    print(error)
held.set()
"""
    assert run_alone(program) == "This process has 2 threads and cannot fork safely.\n"
