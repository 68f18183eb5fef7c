"""Whose work took the processor."""

import os
import subprocess
import sys

import pytest

from windtunnel.lab.surroundings import Surroundings

# Uses about 0.6 s of one processor and ends.
_BURN = "import time\nwhile time.process_time() < 0.6: pass"


def _burn() -> None:
    subprocess.run([sys.executable, "-c", _BURN], check=True)


@pytest.mark.slow
def test_ones_own_childrens_work_is_not_somebody_elses() -> None:
    """A measurement that warned of itself would be ignored, and rightly."""
    seen_by_owner = Surroundings([os.getpid()])
    seen_by_stranger = Surroundings([])

    _burn()

    # Whatever else this machine does, the two differ by the work above.
    span_s = seen_by_owner.elapsed_s * (os.cpu_count() or 1)
    difference_s = (seen_by_stranger.other_share() - seen_by_owner.other_share()) * span_s
    assert difference_s > 0.3


def test_a_process_that_is_gone_is_no_error() -> None:
    """The cloud may end during a run; the run says so in its requests."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    assert 0.0 <= Surroundings([gone.pid]).other_share() <= 1.0
