"""`EndpointUser` in somebody's locustfile, run by plain `locust`."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windtunnel.core.home import Home

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws

# Starting Locust takes a second or two.
pytestmark = pytest.mark.slow

ANSWER = b'{"predictions": [1]}'
# A run is over when its claim can be judged, however long a busy machine takes: when `over` holds a
# character for each user.
LOCUSTFILE = """
import gevent, pathlib
from locust import LoadTestShape, constant, events, task
from locust.exception import StopUser
from windtunnel.lab.load import EndpointUser

class Caller(EndpointUser):
    payload = {payload!r}
    wait_time = constant(0.05)

    @task
    def predict(self):
        self.invoke()

over = pathlib.Path("over")
def end(environment):
    while not over.exists() or over.stat().st_size < (environment.parsed_options.num_users or 1):
        gevent.sleep(0.05)
    environment.runner.quit()
@events.init.add_listener
def begin(environment, **_):
    if not environment.parsed_options.worker:
        gevent.spawn(end, environment)
"""


# Locust may kill a user who has just woken up: whoever stops by himself has sent what he says.
TWENTY = """
def twenty(user):
    user.invoke()
    user.sent = getattr(user, "sent", 0) + 1
    if user.sent == 20:
        with over.open("a") as file:
            file.write(".")
        raise StopUser
Caller.tasks = [twenty]
Caller.wait_time = constant(0.01)
"""


@pytest.fixture
def locustfile(aws: "FakeAws", payload_file: Path, tmp_path: Path) -> Path:
    """Return a locustfile of a user who thinks for 50 ms; its endpoint answers after 5 ms."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.005)
        return 200, {}, ANSWER

    aws.answer = answer
    path = tmp_path / "locustfile.py"
    path.write_text(LOCUSTFILE.format(payload=str(payload_file)))
    return path


def start(
    locustfile: Path, home: Home, *words: str, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Start Locust on a locustfile, beside which its CSV files come to lie."""
    command = [sys.executable, "-m", "locust", "-f", locustfile.name, "-H", "https://unet"]
    return subprocess.Popen(
        [*command, *words],
        env={**os.environ, "WINDTUNNEL_HOME": str(home.path), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=locustfile.parent,
    )


def run(locustfile: Path, home: Home, *words: str) -> str:
    """Run Locust to its end; return what it said."""
    process = start(locustfile, home, "--headless", "--csv", "s", *words)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


def end_after(aws: "FakeAws", locustfile: Path, is_enough: Callable[[], bool]) -> None:
    """End the run with the answer that comes when enough was asked."""
    answer = aws.answer

    def last(asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        if is_enough():
            locustfile.with_name("over").write_text("." * 2)
        return answer(asked)

    aws.answer = last


def total(said: str) -> int:
    """Return the number of requests in Locust's last table."""
    return int([line for line in said.splitlines() if "Aggregated" in line][-1].split()[-1])


def sent(aws: "FakeAws") -> int:
    return aws.actions().count("InvokeEndpoint")


def test_every_request_is_counted_by_locust_to_the_last(
    home: Home, aws: "FakeAws", locustfile: Path
) -> None:
    """The endpoint's own count is the oracle: batches must lose none when the test stops."""
    with locustfile.open("a") as file:
        file.write(TWENTY)

    said = run(locustfile, home, *("-u", "2", "-r", "2", "-t", "60s"))

    assert total(said) == sent(aws) == 40


def test_workers_report_every_request_to_their_master(
    home: Home, aws: "FakeAws", locustfile: Path
) -> None:
    """A worker's report takes the statistics away: what comes after it would be lost."""
    with locustfile.open("a") as file:
        file.write(TWENTY)
    port = str(30_000 + os.getpid() % 2_000)
    workers = [
        start(locustfile, home, "--worker", "--master-port", port, "--loglevel", "ERROR")
        for _ in range(2)
    ]
    said = run(
        *(locustfile, home, "--master", "--expect-workers", "2", "--master-bind-port", port),
        *("-u", "4", "-r", "4", "-t", "60s"),
    )
    for worker in workers:
        worker.communicate(timeout=30)

    assert total(said) == sent(aws) == 80
    assert len({asked.port for asked in aws.asked}) == 4


def test_locusts_load_shapes_work_as_they_are(home: Home, aws: "FakeAws", locustfile: Path) -> None:
    """Whoever has a shape of load keeps it: nothing of ours stands between."""
    with locustfile.open("a") as file:
        file.write(
            "class Steps(LoadTestShape):\n"
            "    def tick(self):\n"
            "        at_s = self.get_run_time()\n"
            "        return (1, 10) if at_s < 1 else (3, 10) if at_s < 3 else None\n"
        )

    said = run(locustfile, home)

    assert "Shape test updating to 3 users" in said
    with (locustfile.parent / "s_stats_history.csv").open() as file:
        users = {int(row["User Count"]) for row in csv.DictReader(file)}
    assert max(users) == 3
    assert len({asked.port for asked in aws.asked}) == 3


def test_a_listener_of_the_locustfile_hears_of_every_request(
    home: Home, aws: "FakeAws", locustfile: Path
) -> None:
    """A log of requests that somebody relies on must not become empty."""
    with locustfile.open("a") as file:
        file.write(
            f"{TWENTY}\n"
            "heard = []\n"
            "events.request.add_listener(lambda **words: heard.append(words))\n"
            "@events.quitting.add_listener\n"
            "def show(**_):\n"
            "    print('heard', len(heard), {words['response_length'] for words in heard})\n"
        )

    said = run(locustfile, home, *("-u", "2", "-r", "2", "-t", "60s"))

    assert f"heard 40 {{{len(ANSWER)}}}" in said
    assert total(said) == sent(aws) == 40


def test_statistics_count_what_failed_and_why(home: Home, aws: "FakeAws", locustfile: Path) -> None:
    """A fast failure that looks like a fast answer is the worst figure of all."""
    aws.answer = lambda _asked: (424, {"x-amzn-ErrorType": "ModelError"}, b'{"Message": "no"}')
    end_after(aws, locustfile, lambda: sent(aws) >= 3)

    process = start(locustfile, home, *("--headless", "--csv", "s", "-t", "60s"))
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "FailedInvocationError('ModelError (424, the model answered None): no')" in said
    assert "(100.00%)" in said


def test_no_user_starts_where_no_cloud_is(home: Home, locustfile: Path, tmp_path: Path) -> None:
    """A minute of failures tells less than one sentence."""
    process = start(
        locustfile,
        home,
        *("--headless", "-t", "30s"),
        environment={"WINDTUNNEL_HOME": str(tmp_path / "other")},
    )
    said, _ = process.communicate(timeout=60)

    assert "windtunnel: No local cloud is up in" in said
    assert "Traceback" not in said
    assert process.returncode == 1


def test_a_payload_that_is_not_there_is_a_sentence(
    home: Home, aws: "FakeAws", locustfile: Path
) -> None:
    """Whoever mistyped a path needs the path, not a page of somebody else's greenlets."""
    with locustfile.open("a") as file:
        file.write("Caller.payload = 'none.json'\n")

    process = start(locustfile, home, *("--headless", "-t", "30s"))
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "windtunnel: The payload none.json cannot be read" in said
    assert "Traceback" not in said
    assert sent(aws) == 0


def test_users_of_an_endpoint_that_is_not_there_ask_ever_more_rarely(
    home: Home, aws: "FakeAws", locustfile: Path
) -> None:
    """A wrong name must not become fifty thousand requests; and Locust's table says it."""
    said_by_aws = b'{"Message": "Endpoint unet of account 0 not found."}'
    aws.answer = lambda _asked: (400, {"x-amzn-ErrorType": "ValidationError"}, said_by_aws)
    with locustfile.open("a") as file:
        file.write("Caller.wait_time = constant(0)\n")

    process = start(locustfile, home, *("--headless", "-u", "2", "-r", "2", "-t", "3s"))
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "ValidationError (400): Endpoint unet of account 0 not found." in said
    # At 0, 0.05, 0.15, 0.35, 0.75, 1.55 and 2.55 s.
    assert 2 <= sent(aws) <= 14


def test_five_lines_are_a_locustfile(
    home: Home, aws: "FakeAws", payload_file: Path, tmp_path: Path
) -> None:
    """What to send and where to is all that there is to say, until there are tasks."""
    path = tmp_path / "locustfile.py"
    path.write_text(
        "from windtunnel.lab.load import EndpointUser\n"
        "class Unet(EndpointUser):\n"
        "    endpoint_name = 'unet'\n"
        f"    payload = {str(payload_file)!r}\n"
        "class Own(Unet):\n"
        "    def twice(self):\n"
        "        self.invoke()\n"
        "    tasks = [twice]\n"
        "print([[each.__name__ for each in cls.tasks] for cls in (Unet, Own)])\n"
    )

    process = start(path, home, "--headless", "-t", "60s", "Unet")
    while sent(aws) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.terminate()
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert "[['_invoke'], ['twice']]" in said
    assert sent(aws) > 0
    assert "no tasks" not in said


def test_a_worker_does_without_boto3_for_the_homes_cloud(home: Home, locustfile: Path) -> None:
    """Sixty workers on a small machine are sixty times what one of them imports."""
    with locustfile.open("a") as file:
        file.write(
            "import sys\n"
            "@events.quitting.add_listener\n"
            "def show(**_):\n"
            "    print('boto3' in sys.modules)\n"
        )

    assert "\nFalse\n" in run(locustfile, home, "-t", "1s")


# What a company's own tool for credentials does: a new token each time it is asked.
_PROCESS = """
import datetime as dt, json, pathlib, sys
count = pathlib.Path(sys.argv[1])
with count.open("a") as file:
    file.write(".")
expiration = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)
print(json.dumps({
    "Version": 1, "AccessKeyId": "ASIAPROCESS", "SecretAccessKey": "secret",
    "SessionToken": f"token-{len(count.read_text())}", "Expiration": expiration.isoformat(),
}))
"""


def tokens(aws: "FakeAws") -> list[str]:
    """Return the session tokens that invocations carried."""
    asked = [asked for asked in aws.asked if asked.action == "InvokeEndpoint"]
    return [each.headers["x-amz-security-token"] for each in asked]


def test_expiring_credentials_are_renewed_while_users_go_on(
    aws: "FakeAws", home: Home, to_aws: list[str], locustfile: Path, tmp_path: Path
) -> None:
    """A test of an hour with a role's credentials would end in failures of its own making."""
    (tmp_path / "process.py").write_text(_PROCESS)
    command = f"{sys.executable} {tmp_path / 'process.py'} {tmp_path / 'count'}"
    (tmp_path / "config").write_text(f"[profile company]\ncredential_process = {command}\n")
    options = {
        "cloud": "aws",
        "profile": "company",
        "region": "us-east-1",
        "endpoint_url": to_aws[-1],
    }
    with locustfile.open("a") as file:
        file.write(
            "from windtunnel.core import limits\n"
            "from windtunnel.lab.target import TargetOptions\n"
            "limits.CREDENTIALS_CHECK_S = 0.3\n"
            f"Caller.target = TargetOptions(**{json.dumps(options)})\n"
        )
    environment = {name: value for name, value in os.environ.items() if "AWS" not in name}
    environment |= {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    end_after(aws, locustfile, lambda: len(set(tokens(aws))) > 3)

    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "locust", "-f", locustfile.name, "-H", "https://unet"),
            *("--headless", "-u", "2", "-r", "2", "-t", "60s"),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert len(set(tokens(aws))) > 2
    assert total(said) > 0
    assert "(0.00%)" in [line for line in said.splitlines() if "Aggregated" in line][-2]
