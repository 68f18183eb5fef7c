"""Every way to be told to end, and what was told not to listen."""

import signal
from collections.abc import Iterator

import pytest

from windtunnel.cli import endings


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Leave the process's handlers as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_being_told_to_end_ends_work_as_an_interrupt_does(
    number: signal.Signals, code: int
) -> None:
    """A cancelled job gets the chance to delete what costs money, and its shell the right code."""
    with pytest.raises(KeyboardInterrupt) as ended, endings.raised():
        signal.raise_signal(number)

    assert endings.exit_code(ended.value) == code
    assert signal.getsignal(number) is not endings._raise


def test_what_ignores_the_end_of_its_terminal_goes_on_ignoring_it() -> None:
    """`nohup windtunnel deploy` was asked to survive the terminal, not to undo its work."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with endings.raised():
        signal.raise_signal(signal.SIGHUP)

    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_an_interrupt_has_a_shells_code_for_it() -> None:
    """Scripts tell Ctrl-C from a failure by 130."""
    assert endings.exit_code(KeyboardInterrupt()) == 130
