"""One measurement at a time."""

import threading
from pathlib import Path

import pytest

from windtunnel.core.home import Home
from windtunnel.core.lease import measuring


def _never(_holder: str) -> None:
    raise AssertionError("nobody holds the lease")


def test_a_second_measurement_waits_for_the_first_and_says_whose_it_is(tmp_path: Path) -> None:
    """Two load runs at once would each report half of the machine."""
    home = Home(tmp_path)
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        def on_wait(holder: str) -> None:
            order.append(holder)
            waiting.set()

        with measuring(home, "the second", on_wait):
            order.append("second runs")

    with measuring(home, "load on endpoint unet", _never):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first ends")
    thread.join(10)

    assert order[0].startswith("load on endpoint unet (process ")
    assert order[1:] == ["first ends", "second runs"]


def test_a_lease_is_free_again_after_its_holder(tmp_path: Path) -> None:
    """A run that failed must not block the next one."""
    home = Home(tmp_path)
    with pytest.raises(RuntimeError), measuring(home, "one that fails", _never):
        raise RuntimeError

    with measuring(home, "the next", _never):
        pass
