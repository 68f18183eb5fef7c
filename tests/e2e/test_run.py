"""`windtunnel run`: any command, and whatever it asks of AWS stays on this machine."""

import contextlib
import http.server
import ipaddress
import json
import os
import pty
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests import processes

from windtunnel.cli.cloud_process import CloudProcess
from windtunnel.core.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

IDENTITY = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
WAIT_S = 30.0


def arguments(home: Path, *command: str, options: tuple[str, ...] = ()) -> list[str]:
    """Return the command line of a run."""
    start = [sys.executable, "-m", "windtunnel", "run", "--home", str(home)]
    return [*start, *options, "--", *command]


def run(
    home: Path,
    *command: str,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        arguments(home, *command, options=options),
        capture_output=True,
        text=True,
        input=stdin,
        timeout=60,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def until(what: str, path: Path) -> None:
    """Wait until a file is there."""
    deadline_s = time.monotonic() + WAIT_S
    while not path.exists():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.01)


# --- the command is itself ------------------------------------------------------------------------


def test_it_starts_a_cloud_and_leaves_none(tmp_path: Path) -> None:
    """One line tries a script; nothing is to be cleaned up behind it."""
    done = run(tmp_path / "home", sys.executable, "-c", IDENTITY)

    assert (done.returncode, done.stdout, done.stderr) == (0, "000000000000\n", "")
    assert not Home(tmp_path / "home").is_locked()
    for process in psutil.process_iter(["cmdline"]):
        assert str(tmp_path) not in " ".join(process.info["cmdline"] or ())


def test_it_uses_the_cloud_that_is_up_and_leaves_it_up(cloud: CloudProcess) -> None:
    """What one run made the next one finds."""
    make = "import boto3; boto3.client('s3').create_bucket(Bucket='made-under-run')"
    list_ = "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
    assert run(cloud.home.path, sys.executable, "-c", make).returncode == 0

    assert "made-under-run" in run(cloud.home.path, sys.executable, "-c", list_).stdout
    assert cloud.process.poll() is None


def test_streams_and_status_are_the_commands(cloud: CloudProcess) -> None:
    """A pipeline or a Makefile does not notice the wind tunnel."""
    home = cloud.home.path
    shell = run(home, "sh", "-c", "cat; echo err >&2; exit 7", stdin="in")

    assert (shell.returncode, shell.stdout, shell.stderr) == (7, "in", "err\n")
    assert run(home, "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert run(home, "echo", "--help", "-x", "--").stdout == "--help -x --\n"


def test_a_command_that_is_none_is_said_before_anything_starts(tmp_path: Path) -> None:
    """With a shell's own statuses."""
    (tmp_path / "data").write_text("no program")
    missing = run(tmp_path / "home", "no-such-command")
    data = run(tmp_path / "home", str(tmp_path / "data"))

    assert missing.returncode == 127
    assert "'no-such-command'" in missing.stderr
    assert data.returncode == 126
    assert not (tmp_path / "home").exists()


def test_a_signal_is_passed_on_and_the_cloud_still_put_away(tmp_path: Path) -> None:
    """A supervisor's SIGTERM ends the command as if it had been started directly."""
    code = (
        "import pathlib, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "while True: signal.pause()"
    )
    running = subprocess.Popen(arguments(tmp_path / "home", sys.executable, "-c", code))
    until("the command did not start", tmp_path / "ready")
    running.send_signal(signal.SIGTERM)

    assert running.wait(WAIT_S) == 9
    assert not Home(tmp_path / "home").is_locked()


def test_ctrl_c_in_a_terminal_reaches_the_command_once(tmp_path: Path) -> None:
    """Twice would kill what cleans up after the first, and none would hang."""
    code = (
        "import pathlib, signal, sys, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "print(sys.stdin.isatty(), flush=True)\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "while not seen: time.sleep(0.01)\n"
        "time.sleep(0.3)\n"
        "sys.exit(40 + len(seen))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        command = arguments(tmp_path / "home", sys.executable, "-c", code)
        os.execv(command[0], command)  # noqa: S606 - the terminal is what is tested
    until("the command did not start", tmp_path / "ready")
    os.write(terminal, b"\x03")
    said = b""
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 1000):
            said += piece
    _, status = os.waitpid(pid, 0)
    os.close(terminal)

    assert said.startswith(b"True")
    assert os.waitstatus_to_exitcode(status) == 41
    assert not Home(tmp_path / "home").is_locked()


def test_kill_9_takes_the_cloud_that_was_started_with_it(tmp_path: Path) -> None:
    """A killed script must not leave a cloud that nobody knows of."""
    touch = f"touch {tmp_path / 'ready'}; sleep 60"
    running = subprocess.Popen(arguments(tmp_path / "home", "sh", "-c", touch))
    until("the command did not start", tmp_path / "ready")
    below = psutil.Process(running.pid).children(recursive=True)
    clouds = [each for each in below if "windtunnel" in " ".join(processes.command(each))]
    running.kill()
    running.wait()

    assert clouds
    assert processes.end_by_themselves(clouds)
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_two_runs_at_once_share_one_cloud_to_the_end_of_both(tmp_path: Path) -> None:
    """A parallel build must not lose the cloud when the first of its jobs is done."""
    home = tmp_path / "home"
    first = subprocess.Popen(
        arguments(
            home, "sh", "-c", f"touch {tmp_path / 'a'}; while [ ! -e {tmp_path / 'b'} ]; do :; done"
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    until("the first did not start", tmp_path / "a")
    code = (
        "import pathlib, sys, time\n"
        f"pathlib.Path({str(tmp_path / 'b')!r}).touch()\n"
        f"while not pathlib.Path({str(tmp_path / 'c')!r}).exists(): time.sleep(0.01)\n"
    )
    second = subprocess.Popen(
        arguments(home, sys.executable, "-c", code + IDENTITY), stdout=subprocess.PIPE, text=True
    )
    assert first.stderr is not None
    assert "Another `run` still uses the cloud" in first.stderr.readline()
    (tmp_path / "c").touch()

    assert second.communicate(timeout=WAIT_S)[0] == "000000000000\n"
    assert first.wait(WAIT_S) == 0
    first.stderr.close()
    assert not Home(home).is_locked()


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """One sentence and no stack trace, and the command is not run outside."""
    (tmp_path / "home").write_text("a file")
    done = run(tmp_path / "home", "echo", "outside")

    assert done.returncode == 4
    assert done.stdout == ""
    assert str(tmp_path / "home") in done.stderr
    assert "Traceback" not in done.stderr


# --- and what it asks stays here ------------------------------------------------------------------


def test_the_users_own_aws_files_and_variables_are_neither_used_nor_written(
    cloud: CloudProcess, tmp_path: Path
) -> None:
    """A real key must not leak into an experiment, nor an experiment into real files."""
    aws = tmp_path / ".aws"
    aws.mkdir()
    own = "[default]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real\n"
    (aws / "credentials").write_text(own)
    (aws / "config").write_text(
        "[default]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:1\n"
    )
    code = (
        "import boto3, os\n"
        "session = boto3.Session()\n"
        "print(session.get_credentials().access_key, session.region_name)\n"
        "print(session.client('sts').get_caller_identity()['Account'])\n"
        "for name in ('AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE'):\n"
        "    open(os.environ[name], 'a').write('# written inside\\n')"
    )
    done = run(
        cloud.home.path,
        sys.executable,
        "-c",
        code,
        environment={
            "HOME": str(tmp_path),
            "AWS_PROFILE": "production",
            "AWS_SESSION_TOKEN": "real-token",
            "AWS_ACCESS_KEY_ID": "AKIAREAL",
            "AWS_SECRET_ACCESS_KEY": "real",
            "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
            "AWS_REGION": "eu-west-1",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1",
        },
    )

    key = cloud.home.credentials().access_key_id
    assert done.stdout == f"{key} us-east-1\n000000000000\n", done.stderr
    assert (aws / "credentials").read_text() == own
    assert "written inside" in cloud.home.aws_config.read_text()
    assert sorted(path.name for path in aws.iterdir()) == ["config", "credentials"]


@pytest.mark.parametrize("region", ["us-west-2", "eu-central-1", "cn-north-1"])
def test_a_client_that_hard_codes_awss_hosts_lands_here(cloud: CloudProcess, region: str) -> None:
    """The SageMaker SDK's STS URL is fixed to the regional AWS host."""
    code = (
        "import boto3, os, sys\n"
        "del os.environ['AWS_ENDPOINT_URL']\n"
        "client = boto3.client('sts', region_name=sys.argv[1])\n"
        "print(client.get_caller_identity()['Account'], client.meta.endpoint_url)"
    )
    done = run(cloud.home.path, sys.executable, "-c", code, region)

    suffix = ".cn" if region.startswith("cn-") else ""
    assert done.stdout == f"000000000000 https://sts.{region}.amazonaws.com{suffix}\n", done.stderr


URLLIB = """
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=20)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""
REQUESTS = """
import requests, sys
answer = requests.get(sys.argv[1], timeout=20)
print(answer.status_code, answer.text)
"""
TELEMETRY = "sm-pysdk-t-us-east-1.s3.us-east-1.amazonaws.com/telemetry?x=1"


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("client", ["urllib", "requests", "curl"])
def test_every_kind_of_client_reaches_awss_hosts_here(
    cloud: CloudProcess, client: str, scheme: str
) -> None:
    """The SDK's telemetry waits for its answer without a time-out."""
    url = f"{scheme}://{TELEMETRY}"
    if client == "curl":
        if shutil.which("curl") is None:
            pytest.skip("no curl here")
        command = ["curl", "-sS", "-w", "%{http_code}", url]
    else:
        command = [sys.executable, "-c", URLLIB if client == "urllib" else REQUESTS, url]
    done = run(cloud.home.path, *command)

    assert "404" in done.stdout, done.stderr
    assert "<Code>NoSuchBucket</Code>" in done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [("NO_PROXY", "*"), ("no_proxy", ".amazonaws.com,corp.example"), ("NO_PROXY", "com")],
)
def test_a_no_proxy_cannot_let_aws_hosts_pass_by(
    cloud: CloudProcess, name: str, value: str
) -> None:
    """The user's own NO_PROXY would otherwise send real requests out."""
    code = REQUESTS + "import os; print(os.environ['NO_PROXY'], os.environ['no_proxy'])"
    environment = {"NO_PROXY": "", "no_proxy": "", name: value}
    done = run(
        cloud.home.path, sys.executable, "-c", code, f"https://{TELEMETRY}", environment=environment
    )

    assert done.stdout.startswith("404 ")
    assert "AWS hosts must not pass by" in done.stderr
    kept = "corp.example,127.0.0.1,localhost,::1" if "corp" in value else "127.0.0.1,localhost,::1"
    assert done.stdout.endswith(f"{kept} {kept}\n")


def test_the_users_own_proxy_is_replaced(cloud: CloudProcess) -> None:
    """In either case of either letter, a company's proxy would carry requests out."""
    dead = "http://127.0.0.1:1"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    environment = dict.fromkeys(names, dead)
    for code in (REQUESTS, URLLIB):
        for scheme in ("http", "https"):
            url = f"{scheme}://{TELEMETRY}"
            done = run(cloud.home.path, sys.executable, "-c", code, url, environment=environment)
            assert done.stdout.startswith("404 "), done.stderr


def test_another_host_is_refused_in_words_that_say_what_to_do(cloud: CloudProcess) -> None:
    """Python shows a refused CONNECT by its status line and nothing else."""
    done = run(cloud.home.path, sys.executable, "-c", URLLIB, "https://pypi.org/simple/")

    assert done.returncode == 1
    assert "windtunnel run --allow-host pypi.org" in done.stderr


# --- allowed hosts --------------------------------------------------------------------------------

# On loopback, but in nobody's NO_PROXY.
OTHER = "127.0.0.2"


@pytest.fixture
def other_host(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A TLS server of somebody else's, with an authority of its own: its port, its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody else")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address(OTHER))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    trusted, both = tmp_path / "somebody-else.pem", tmp_path / "both.pem"
    trusted.write_bytes(pem)
    both.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)

    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(dict(self.headers)).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer((OTHER, 0), Hello)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, trusted
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8")
@pytest.mark.parametrize("client", ["urllib", "requests"])
def test_an_allowed_host_is_reached_with_its_own_tls(
    cloud: CloudProcess, other_host: tuple[int, Path], client: str
) -> None:
    """The user's own authorities go on counting inside, beside the home's."""
    port, trusted = other_host
    code = URLLIB if client == "urllib" else REQUESTS
    done = run(
        cloud.home.path,
        sys.executable,
        "-c",
        code,
        f"https://{OTHER}:{port}/",
        options=("--allow-host", "pypi.org", "--allow-host", f"{OTHER}:{port}"),
        environment={"REQUESTS_CA_BUNDLE": str(trusted)},
    )

    assert done.stdout.startswith("200 "), done.stderr
    # What opened the proxy is not shown to the host.
    assert "proxy-authorization" not in done.stdout.lower()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8")
def test_what_one_run_allows_another_does_not(
    cloud: CloudProcess, other_host: tuple[int, Path]
) -> None:
    """The list is the run's, not the cloud's."""
    port, trusted = other_host
    done = run(
        cloud.home.path,
        sys.executable,
        "-c",
        URLLIB,
        f"https://{OTHER}:{port}/",
        options=("--allow-host", "pypi.org"),
        environment={"SSL_CERT_FILE": str(trusted)},
    )

    assert done.returncode == 1
    assert f"--allow-host {OTHER}:{port}" in done.stderr


@pytest.mark.parametrize("host", ["*", "https://pypi.org", "*.amazonaws.com", "a b"])
def test_a_host_that_cannot_be_allowed_is_a_usage_error(tmp_path: Path, host: str) -> None:
    """Said before anything is started."""
    done = run(tmp_path / "home", "true", options=("--allow-host", host))

    assert done.returncode == 2
    assert "--allow-host" in done.stderr
    assert not (tmp_path / "home").exists()
