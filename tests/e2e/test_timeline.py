"""A load run that is scaled while it goes on, from the command line to the page.

The endpoint is a server with one slot of 50 ms, which waits rather than computes; the clock of
scaling runs 60 times as fast.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.play import Maker, client_of, one_slot

from windtunnel.cli.cloud_process import CloudProcess
from windtunnel.lab.run_directory import RunDirectory

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

_SERVER = one_slot(0.05)


@pytest.fixture
def endpoint(warped: CloudProcess, tmp_path: Path) -> Iterator[str]:
    """An endpoint of one instance with one slot."""
    maker = Maker(lambda service: client_of(warped, service), "none")
    maker.directory = tmp_path
    yield maker.command(_SERVER)
    maker.close()


def _windtunnel(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "windtunnel", *words], capture_output=True, text=True, check=False
    )


def test_a_run_tells_what_scaled_its_endpoint_and_draws_it(
    warped: CloudProcess, endpoint: str, tmp_path: Path
) -> None:
    """Who tunes a policy looks at one page, not at five of a console and a load test's."""
    home = ("--home", str(warped.home.path))
    payload, out = tmp_path / "payload", tmp_path / "run"
    payload.write_bytes(b"x")
    registered = _windtunnel("autoscale", endpoint, "--target", "5", "--max", "3", *home)
    assert registered.returncode == 0, registered.stderr
    # Twelve a second, of which an instance is to have five.
    loaded = _windtunnel(
        *("load", endpoint, "--payload", str(payload), "--out", str(out), *home),
        *("--rate", "12", "--warmup", "0s", "--duration", "12s"),
    )
    run = RunDirectory(out).read()

    # On a busy machine the generator may have fallen behind: the run is kept, and invalid.
    assert loaded.returncode in {0, 3}, loaded.stderr
    assert "clock x60" in loaded.stderr
    assert run.asked["target"]["clock"] == "x60"
    assert run.scaling is not None
    assert run.scaling.problems == ()
    (variant,) = run.scaling.variants
    assert (variant.samples[0].current, variant.samples[-1].current) == (1, 3)
    assert (variant.activities[0].previous, variant.activities[-1].desired) == (1, 3)
    high = next(each for each in variant.alarms if "-AlarmHigh-" in each.name)
    turned_s = next(at_s for at_s, state in high.turns if state == "ALARM")
    # It went off before the policy acted, in the run's own seconds.
    assert 0 < turned_s <= variant.activities[0].at_s < 12
    page = (out / "report.html").read_text()
    assert "From 1 to 3 instances, in " in page
    assert '"name":"instances"' in page
