"""`windtunnel autoscale` from the command line, before it calls anybody."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from windtunnel.cli.main import app
from windtunnel.core.errors import UsageError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Say the --target, or what one instance can do"),
        (["--target", "0"], "--target 0 is not above 0"),
        (["--target", "nan"], "--target nan is not above 0"),
        (["--capacity-rps", "-1"], "--capacity-rps -1 is not above 0"),
        (["--capacity-rps", "1", "--capacity-from", "x"], "say the same: leave one out"),
        (["--capacity-from", "nowhere"], "cannot be read"),
        (["--target", "1", "--min", "5"], "--min 5 is above --max 4"),
        (["--target", "1", "--in-cooldown", "soon"], "'soon' is not a length of time"),
        (["--target", "1", "--out-cooldown", "400ms"], "--out-cooldown 400ms is no whole number"),
        (["--target", "1", "--in-cooldown", "1.9s"], "--in-cooldown 1.9s is no whole number"),
    ],
)
def test_wrong_words_are_refused_before_any_call(
    words: list[str], said: str, tmp_path: Path
) -> None:
    """There is no cloud in this home, and nobody finds that out first."""
    done = CliRunner().invoke(app, ["autoscale", "e", "--home", str(tmp_path), *words])

    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
