"""The lab's commands against a real local cloud, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from windtunnel.cli.cloud_process import CloudProcess

pytestmark = [pytest.mark.slow, pytest.mark.cloud]


def windtunnel(cloud: CloudProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command against the cloud of a home; stdout is its result, stderr its talk."""
    return subprocess.run(
        [sys.executable, "-m", "windtunnel", *arguments, "--home", str(cloud.home.path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_model_is_deployed_invoked_loaded_and_cleaned_up(
    cloud: CloudProcess, archives: Path, tmp_path: Path
) -> None:
    """The main job in five commands, each with a result that a script can read."""
    payload = tmp_path / "payload.json"
    payload.write_text('{"instances": [2.0, 6.0]}')
    name = "lab-half-plus-two"
    archive = str(archives / "half_plus_two.tar.gz")
    setting = "SAGEMAKER_TFS_INSTANCE_COUNT=2"

    made = windtunnel(cloud, "deploy", archive, "--endpoint-name", name, "--env", setting, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["endpoint_name"] == name

    said = windtunnel(cloud, "invoke", name, "--payload", str(payload))
    assert json.loads(said.stdout) == {"predictions": [3.0, 5.0]}

    run = tmp_path / "run"
    loaded = windtunnel(
        cloud,
        *("load", name, "--payload", str(payload), "--users", "4", "--duration", "2s"),
        *("--warmup", "500ms", "--slo", "p90=10s", "--out", str(run), "--json"),
    )
    summary = json.loads(loaded.stdout)
    # A machine that is busy with other tests may make the run invalid: that, too, is an answer.
    assert loaded.returncode == (0 if summary["valid"] else 3), loaded.stderr
    assert summary == json.loads((run / "summary.json").read_text())
    assert summary["failures"] == 0
    assert summary["requests"] > 0
    assert summary["users"] == {"wanted": 4, "reached": 4}
    assert "stand-in" in summary["hardware"]["instances"]
    kept = pq.read_table(run / "requests.parquet")
    counted = [due for due in kept["due_s"].to_pylist() if due >= summary["warmup_s"]]
    assert len(counted) >= summary["requests"]
    asked = json.loads((run / "run.json").read_text())
    assert setting.partition("=")[0] in json.dumps(asked)
    page = (run / "report.html").read_text()
    assert name in page
    assert "https://" not in page.split("<script")[0]

    cleaned = windtunnel(cloud, "clean", "--endpoint-name", name, "--yes", "--json")
    assert cleaned.returncode == 0, cleaned.stderr
    assert windtunnel(cloud, "invoke", name, "--payload", str(payload)).returncode == 4


def test_a_model_that_does_not_load_is_explained(
    cloud: CloudProcess, archives: Path, tmp_path: Path
) -> None:
    """The reason on the screen, and a status that a script can branch on."""
    del archives
    bad = tmp_path / "bad.tar.gz"
    import tarfile

    note = tmp_path / "readme.txt"
    note.write_text("no model")
    with tarfile.open(bad, "w:gz") as tar:
        tar.add(note, "readme.txt")
    done = windtunnel(cloud, "deploy", str(bad), "--endpoint-name", "lab-bad")

    assert done.returncode == 4
    assert "SavedModel" in done.stderr
    assert "windtunnel clean --endpoint-name lab-bad" in done.stderr
    assert "Traceback" not in done.stderr
    assert windtunnel(cloud, "clean", "--endpoint-name", "lab-bad", "--yes").returncode == 0
