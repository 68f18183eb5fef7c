"""`windtunnel report` from the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from windtunnel.cli.main import app
from windtunnel.core.errors import UsageError


@pytest.mark.parametrize("capacity", ["0", "-1", "nan", "inf"])
def test_a_capacity_that_is_none_is_refused(tmp_path: Path, capacity: str) -> None:
    """A line at infinity would squeeze all the rest onto the axis."""
    done = CliRunner().invoke(app, ["report", str(tmp_path), "--capacity-rps", capacity])

    assert isinstance(done.exception, UsageError)
    assert f"--capacity-rps {capacity} is not above 0" in str(done.exception)
