"""`windtunnel sample unet`, on a home whose model is already made."""

import json
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from windtunnel.cli.sample import app
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.core.home import Home
from windtunnel.sample import bundle, cache

EXPECTED = bundle.Expected(
    threshold=0.4,
    iou=0.91,
    iou_mean=0.9,
    iou_min=0.84,
    iou_mean_otsu=0.55,
    held_out_count=16,
    seed=1,
    parameter_count=1_941_105,
    tensorflow="2.20.0",
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home that holds this version's model, made by an earlier command."""
    home = Home(tmp_path / "home")
    home.prepare()
    made = home.cache / f"unet-{cache.digest(cache._versions())}"
    made.mkdir()
    for name in bundle.FILES:
        (made / name).write_text(f"the content of {name}")
    bundle.write_expected(made, EXPECTED)
    return home


def test_the_sample_is_copied_whole(home: Home, tmp_path: Path) -> None:
    """The next command of the quick start reads these five files."""
    out = tmp_path / "new" / "out"
    result = CliRunner().invoke(app, ["unet", "--out", str(out), "--home", str(home.path)])

    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == sorted(bundle.FILES)
    assert (out / bundle.MODEL).read_text() == f"the content of {bundle.MODEL}"
    assert "IoU 0.910" in result.stdout


def test_json_is_all_that_stands_on_stdout(home: Home, tmp_path: Path) -> None:
    """Scripts parse it."""
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["unet", "--out", str(out), "--home", str(home.path), "--json"]
    )
    record = json.loads(result.stdout)

    assert record["reused"] is True
    assert record["expected"]["iou_mean"] == 0.9
    assert set(record["files"]) == set(bundle.FILES)


def test_a_file_in_the_place_of_the_directory_is_refused(home: Home, tmp_path: Path) -> None:
    """It must be said before a minute of training, and the file stays as it is."""
    taken = tmp_path / "model.tar.gz"
    taken.write_text("mine")
    result = CliRunner().invoke(app, ["unet", "--out", str(taken), "--home", str(home.path)])

    assert isinstance(result.exception, UsageError)
    assert taken.read_text() == "mine"


def test_a_missing_tensorflow_is_said_with_the_command_that_brings_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lab alone installs without it; its users meet this sentence first."""

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    result = CliRunner().invoke(
        app, ["unet", "--out", str(tmp_path / "out"), "--home", str(home.path)]
    )

    assert isinstance(result.exception, NotReadyError)
    assert 'pip install "windtunnel[local]"' in str(result.exception)
    assert not (tmp_path / "out").exists()
