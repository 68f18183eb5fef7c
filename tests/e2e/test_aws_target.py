"""`--cloud aws`, played by a second local cloud: with AWS's delays, throttling and sign-ins."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.play import client_of

from windtunnel.cli.cloud_process import running_cloud
from windtunnel.core.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

_ROLE = "arn:aws:iam::000000000000:role/service-role/tests"
_BUILDER = "arn:aws:iam::000000000000:role/team/builder"
# Nothing listens on port 9 (discard).
_NOWHERE = "http://127.0.0.1:9"
# How a company hands out credentials: by a program, until its user's session has ended.
_SIGN_IN = """
import datetime as dt, json, pathlib, sys
key, secret, ended = sys.argv[1:]
if pathlib.Path(ended).exists():
    sys.exit("your session has ended")
expiration = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)
print(json.dumps({"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret,
                  "Expiration": expiration.isoformat()}))
"""


@dataclass(frozen=True)
class Player:
    """The cloud that plays AWS, and the profile that leads to it."""

    url: str
    home: Home
    config_file: Path
    # Where this file is, the user's session has ended.
    ended: Path

    def command(self, *words: object, profile: str = "player") -> subprocess.Popen[str]:
        """Start a command of ours, in surroundings that lead elsewhere unless it is told."""
        where = ("--cloud", "aws", "--endpoint-url", self.url, "--profile", profile)
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {
            "AWS_CONFIG_FILE": str(self.config_file),
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_ENDPOINT_URL": _NOWHERE,
            "AWS_ENDPOINT_URL_SAGEMAKER": _NOWHERE,
            "HTTP_PROXY": _NOWHERE,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "windtunnel", *map(str, words), *where],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, *words: object, profile: str = "player") -> subprocess.CompletedProcess[str]:
        """Run a command of ours to its end."""
        with self.command(*words, profile=profile) as process:
            out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def client(self, service: str, attempts: int = 10) -> Any:
        """Return a boto3 client with the home's own key."""
        owner = self.home.credentials()
        return boto3.Session(
            aws_access_key_id=owner.access_key_id,
            aws_secret_access_key=owner.secret_access_key,
            region_name="eu-west-1",
        ).client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.url,
            config=Config(retries={"total_max_attempts": attempts, "mode": "adaptive"}),
        )

    def left(self) -> list[str]:
        """Return the names of what there is, and the keys of what was uploaded."""
        sagemaker, s3 = self.client("sagemaker"), self.client("s3")
        names = [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]
        configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
        names += [each["EndpointConfigName"] for each in configs]
        names += [each["ModelName"] for each in sagemaker.list_models()["Models"]]
        for bucket in s3.list_buckets()["Buckets"]:
            listed = s3.list_objects_v2(Bucket=bucket["Name"])
            names += [each["Key"] for each in listed.get("Contents", [])]
        return names


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """A cloud that plays AWS, with nothing in it."""
    directory = tmp_path_factory.mktemp("player")
    home = Home(directory / "home")
    home.prepare()
    owner = home.credentials()
    sign_in = directory / "sign_in.py"
    sign_in.write_text(_SIGN_IN)
    ended = directory / "ended"
    config_file = directory / "config"
    words = (sys.executable, sign_in, owner.access_key_id, owner.secret_access_key, ended)
    config_file.write_text(
        f"[profile player]\nregion = eu-west-1\ncredential_process = {' '.join(map(str, words))}\n"
        "[profile builder]\nregion = eu-west-1\nsource_profile = player\n"
        f"role_arn = {_BUILDER}\n"
    )
    program = Path(__file__).with_name("aws_player.py")
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(program), str(home.path)], stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    word, _, url = process.stdout.readline().decode().strip().partition(" ")
    try:
        assert word == "ready", (directory / "log").read_text()
        yield Player(url, home, config_file, ended)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def _deploy(archive: Path, name: str, *more: object) -> list[object]:
    return ["deploy", archive, "--endpoint-name", name, "--role", _ROLE, *more]


def _wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read what a command says until it says this; return all of it."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if text in line:
            return said
    raise AssertionError(f"{text!r} was never said: {said}")


def _ask_in_haste(client: Any) -> None:
    for _ in range(10):
        client.list_models()


def test_a_model_goes_to_aws_and_back(player: Player, archives: Path, tmp_path: Path) -> None:
    """The same commands as here, with an account, a region and a price said first."""
    payload = tmp_path / "payload.json"
    payload.write_text('{"instances": [2.0, 6.0]}')

    made = player.run(*_deploy(archives / "half_plus_two.tar.gz", "there", "--yes", "--json"))
    assert made.returncode == 0, made.stderr
    first, second = made.stderr.splitlines()[:2]
    assert first == f"account 000000000000, region eu-west-1, {player.url}"
    assert second.startswith("cost      What 1 x ml.c5.large cost an hour is not known here")
    told = json.loads(made.stdout)
    assert ".dkr.ecr.eu-west-1.amazonaws.com/tensorflow-inference" in told["image"]
    assert told["model_data_url"].startswith("s3://sagemaker-eu-west-1-000000000000/windtunnel/")

    said = player.run("invoke", "there", "--payload", payload)
    assert json.loads(said.stdout) == {"predictions": [3.0, 5.0]}, said.stderr

    loaded = player.run(
        *("load", "there", "--payload", payload, "--users", 2, "--duration", "2s"),
        *("--warmup", "500ms", "--out", tmp_path / "run", "--json", "--yes"),
    )
    summary = json.loads(loaded.stdout)
    assert summary["failures"] == 0, loaded.stderr
    assert summary["requests"] > 0
    assert summary["hardware"]["fidelity"] == "measured"
    assert "instance-hours" in loaded.stderr

    cleaned = player.run("clean", "--yes", "--json")
    assert cleaned.returncode == 0, cleaned.stderr
    assert json.loads(cleaned.stdout)["deleted"]["endpoints"] == ["there"]
    assert player.left() == []


def test_whoever_assumed_a_role_deploys_with_it(
    player: Player, archives: Path, tmp_path: Path
) -> None:
    """In a pipeline or a notebook nobody names a role: it is the one that they are in."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    iam = player.client("iam")
    iam.create_role(RoleName="builder", Path="/team/", AssumeRolePolicyDocument=json.dumps(trust))
    payload = tmp_path / "payload.json"
    payload.write_text('{"instances": [2.0]}')
    archive = archives / "half_plus_two.tar.gz"
    by_name = ("deploy", archive, "--endpoint-name", "named", "--role", "builder", "--yes")

    made = player.run(
        *("deploy", archive, "--endpoint-name", "mine", "--yes", "--json"), profile="builder"
    )
    assert made.returncode == 0, made.stderr
    model = player.client("sagemaker").describe_model(
        ModelName=json.loads(made.stdout)["model_name"]
    )
    assert model["ExecutionRoleArn"] == _BUILDER
    named = player.run(*by_name)
    assert named.returncode == 0, named.stderr
    loaded = player.run(
        *("load", "mine", "--payload", payload, "--users", 1, "--duration", "1s"),
        *("--warmup", "0s", "--out", tmp_path / "run", "--json", "--yes"),
        profile="builder",
    )
    # Each request carried the role's session token, which the cloud proves.
    summary = json.loads(loaded.stdout)
    assert (summary["failures"], summary["requests"] > 0) == (0, True), loaded.stderr

    cleaned = player.run("clean", "--yes", profile="builder")
    assert cleaned.returncode == 0, cleaned.stderr
    assert player.left() == []


def test_calls_that_are_throttled_are_refused_as_aws_does_and_get_through(player: Player) -> None:
    """What an SDK is written to cope with happens here before it happens there."""
    hasty, patient = player.client("sagemaker", attempts=1), player.client("sagemaker")
    with pytest.raises(ClientError) as refused:
        _ask_in_haste(hasty)
    retries = [patient.list_models()["ResponseMetadata"]["RetryAttempts"] for _ in range(4)]

    assert refused.value.response["Error"] == {
        "Code": "ThrottlingException",
        "Message": "Rate exceeded",
    }
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert sum(retries) > 0


def test_a_cloud_can_be_started_at_the_pace_of_aws(tmp_path: Path) -> None:
    """Waiting and throttling can be had for free, and whoever gets them is told."""
    log = tmp_path / "log"
    with running_cloud(Home(tmp_path / "home"), "--startup", "aws", log=log) as cloud:
        metrics = client_of(cloud, "cloudwatch")
        metrics.put_metric_data(Namespace="N", MetricData=[{"MetricName": "M", "Value": 1.0}])
        now = dt.datetime.now(dt.UTC)
        seen = metrics.get_metric_statistics(
            Namespace="N",
            MetricName="M",
            StartTime=now - dt.timedelta(minutes=10),
            EndTime=now + dt.timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )
        with pytest.raises(ClientError, match="Rate exceeded"):
            _ask_in_haste(client_of(cloud, "sagemaker"))

    # On AWS it takes two minutes and more until a metric can be read.
    assert seen["Datapoints"] == []
    assert "Instances take 134 to 525 s to start" in log.read_text()


def test_without_a_yes_nothing_is_made(player: Player, archives: Path) -> None:
    """A job that runs unattended must not start to cost money by default."""
    ran = player.run(*_deploy(archives / "half_plus_two.tar.gz", "never"))

    assert ran.returncode == 2
    assert "say --yes" in ran.stderr
    assert player.left() == []


def test_a_model_that_does_not_load_leaves_nothing(player: Player, tmp_path: Path) -> None:
    """What failed costs nothing from then on, and the reason is told."""
    note = tmp_path / "readme.txt"
    note.write_text("no model")
    bad = tmp_path / "bad.tar.gz"
    with tarfile.open(bad, "w:gz") as tar:
        tar.add(note, "readme.txt")

    ran = player.run(*_deploy(bad, "bad", "--yes"))

    assert ran.returncode == 4
    assert "SavedModel" in ran.stderr
    assert "Nothing of it is left" in ran.stderr
    assert player.left() == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_however_it_is_ended_nothing_is_left(
    player: Player, archives: Path, number: signal.Signals, code: int
) -> None:
    """Ctrl-C, a job that is cancelled, a laptop's lid: an endpoint costs until it is deleted."""
    words = _deploy(archives / "half_plus_two.tar.gz", f"ended-{number}", "--yes")
    with player.command(*words) as process:
        said = _wait_for(process, "Waiting for")
        process.send_signal(number)
        _, rest = process.communicate(timeout=100)

    assert process.returncode == code, said + rest
    assert "Nothing of it is left" in rest
    assert player.left() == []


def test_credentials_that_end_on_the_way_leave_a_list_and_a_command(
    player: Player, archives: Path
) -> None:
    """Who may no longer delete is told what goes on costing, and what removes it."""
    words = _deploy(archives / "half_plus_two.tar.gz", "expired", "--yes", "--json")
    with player.command(*words) as process:
        said = _wait_for(process, "Waiting for")
        player.ended.touch()
        out, rest = process.communicate(timeout=100)
    player.ended.unlink()

    assert process.returncode == 4, said + rest
    assert "your session has ended" in rest
    assert json.loads(out)["made"][0] == "endpoint expired"
    command = (
        f"windtunnel clean --cloud aws --profile player --region eu-west-1 "
        f"--endpoint-url {player.url} --endpoint-name expired"
    )
    assert command in rest

    cleaned = player.run("clean", "--endpoint-name", "expired", "--yes")
    assert cleaned.returncode == 0, cleaned.stderr
    assert player.left() == []
