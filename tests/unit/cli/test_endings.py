"""Every way to be told to end, and what was told not to listen.

Signals are raised in processes of their own: what runs the tests has handlers and threads, too.
"""

import subprocess
import sys

import pytest

from windtunnel.cli import endings

TOLD = """
import signal, sys
from windtunnel.cli import endings
number = int(sys.argv[1])
before = signal.getsignal(number)
try:
    with endings.raised():
        signal.raise_signal(number)
except KeyboardInterrupt as ended:
    print(endings.exit_code(ended), signal.getsignal(number) is before)
"""
IGNORED = """
import signal
from windtunnel.cli import endings
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with endings.raised():
    signal.raise_signal(signal.SIGHUP)
print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)
"""


def said(program: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(("number", "code"), [(15, 143), (1, 129)], ids=["SIGTERM", "SIGHUP"])
def test_being_told_to_end_ends_work_as_an_interrupt_does(number: int, code: int) -> None:
    """A cancelled job gets the chance to delete what costs money, and its shell the right code."""
    assert said(TOLD, str(number)) == f"{code} True"


def test_what_ignores_the_end_of_its_terminal_goes_on_ignoring_it() -> None:
    """`nohup windtunnel deploy` was asked to survive the terminal, not to undo its work."""
    assert said(IGNORED) == "True"


def test_an_interrupt_has_a_shells_code_for_it() -> None:
    """Scripts tell Ctrl-C from a failure by 130."""
    assert endings.exit_code(KeyboardInterrupt()) == 130
