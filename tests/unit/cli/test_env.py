"""What `windtunnel env` prints leads every client to the local cloud, and nowhere else."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from windtunnel.cli.env import exports
from windtunnel.cli.main import app
from windtunnel.core.home import CloudRecord, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with awkward characters in its path."""
    made = Home(tmp_path / "my home; $(touch oops)")
    made.prepare()
    return made


def printed(home: Home) -> str:
    with home.locked():
        home.write_record(CloudRecord("http://127.0.0.1:4566", os.getpid(), "g", 1.0))
        done = CliRunner().invoke(app, ["env", "--home", str(home.path)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_shell_takes_it_as_it_is(home: Home, tmp_path: Path) -> None:
    """A path with spaces or worse must not become a command."""
    asked = 'echo "$AWS_ENDPOINT_URL|$WINDTUNNEL_HOME|${AWS_PROFILE-unset}|$AWS_REGION"'
    shell = f"{printed(home)}\n{asked}"
    done = subprocess.run(
        ["bash", "-c", shell],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"AWS_PROFILE": "other", "PATH": os.environ["PATH"]},
    )

    assert done.stdout.strip() == f"http://127.0.0.1:4566|{home.path}|unset|us-east-1"
    assert not (tmp_path / "oops").exists()


def test_only_exports_and_unsets_are_printed(home: Home) -> None:
    """Whatever else stood there would be run by eval."""
    for line in printed(home).splitlines():
        assert shlex.split(line)[0] in {"export", "unset"}


def test_endpoints_of_single_services_are_removed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They outrank AWS_ENDPOINT_URL, and would lead one service elsewhere."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "https://elsewhere")

    unset = next(line for line in printed(home).splitlines() if line.startswith("unset "))
    assert {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "AWS_SESSION_TOKEN", "AWS_PROFILE"} <= set(
        unset.split()
    )


def test_loopback_is_kept_from_proxies_beside_what_was_there(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 sends even http://127.0.0.1 through HTTP_PROXY."""
    monkeypatch.setenv("NO_PROXY", "intranet,localhost")

    found = exports(home, "http://127.0.0.1:1", "us-east-1")["NO_PROXY"]
    assert found == "intranet,localhost,127.0.0.1,::1"


def test_the_users_own_aws_files_are_neither_read_nor_written(home: Home) -> None:
    """`aws configure` inside must not touch what is outside."""
    printed(home)
    found = exports(home, "http://127.0.0.1:1", "us-east-1")

    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert Path(found[name]).is_relative_to(home.path)
        assert Path(found[name]).read_text() == ""
