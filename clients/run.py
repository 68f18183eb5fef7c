"""`make clients`: does the local cloud satisfy clients that nobody here wrote?

Each is a program as its user would write it for AWS, with nothing of Windtunnel in it, in an
environment of its own under `.clients`; its lock file's hash is the stamp, so a second run builds
nothing. (One plays an example besides, which finds the lab on PYTHONPATH; another is an example.)
One cloud serves them all at the same time. The home directory around them is a decoy with somebody
else's AWS files, so whoever reads or writes the user's own fails.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".clients"
# The slowest build took 60 s on two busy cores (2026-11-25), the slowest client, which compiles
# models, 260 s on two cores with eleven processes that wanted them (2026-11-26).
BUILD_TIMEOUT_S = 900
RUN_TIMEOUT_S = 600
# Builds and waits overlap; more at a time would only share the two cores of a small machine.
AT_A_TIME = 2
LOG_LINES_SHOWN = 40

INSIDE = (sys.executable, "-m", "windtunnel", "run")
# What the user might have: another account's key, region and profile.
DECOY_FILES = {
    ".aws/config": "[profile production]\nregion = eu-central-1\n",
    ".aws/credentials": "[production]\naws_access_key_id = AKIADECOYDECOYDECOY1\n"
    "aws_secret_access_key = decoy\n",
}
DECOY_VARIABLES = {
    "AWS_PROFILE": "production",
    "AWS_REGION": "eu-central-1",
    "AWS_SESSION_TOKEN": "stale",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
}


class ClientError(Exception):
    """A client could not be built, or did not find what it wanted."""


@dataclass(frozen=True)
class Client:
    """One foreign client."""

    name: str
    build: Callable[["Client"], None]
    # The file whose content says what the environment holds.
    lock: str
    interpreter: str
    program: str
    model: str = "half_plus_two.tar.gz"
    # What lies beside the program when it runs, and what `windtunnel run` must say of it.
    files: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """Where the client's files are kept."""
        return HERE / self.name

    @property
    def environment(self) -> Path:
        """Where the client is installed."""
        return ENVIRONMENTS / self.name

    @property
    def log(self) -> Path:
        """What the last build and run said."""
        return ENVIRONMENTS / f"{self.name}.log"


def build_python(client: Client) -> None:
    """Make a virtual environment with what the lock file lists, and nothing else."""
    call(client, [sys.executable, "-m", "venv", str(client.environment)], BUILD_TIMEOUT_S)
    pip = [str(client.environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--require-hashes"]
    call(client, [*pip, "-r", str(client.source / client.lock)], BUILD_TIMEOUT_S)


def build_node(client: Client) -> None:
    """Install the packages of the lock file; Node finds them from the program's own directory."""
    client.environment.mkdir(parents=True)
    for name in ("package.json", client.lock):
        shutil.copy(client.source / name, client.environment)
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    call(client, [*npm, "--prefix", str(client.environment)], BUILD_TIMEOUT_S)


LOCUST_FILES = (
    *(HERE / "locust" / name for name in ("careless.py", "careless.sh")),
    *(
        HERE.parent / "examples" / "aim406" / name
        for name in ("distributed.sh", "locust_script.py")
    ),
)
SKLEARN_FILES = tuple(
    HERE.parent / "examples" / "sklearn" / name for name in ("train.py", "serve.py")
)
# Each of the faults in `careless.sh` and `careless.py`.
LOCUST_REMARKS = (
    "the run time '7sx' is none",
    "9 users need 9 s, the run lasts 7 s, so at most 7 are ever there",
    "9 users cannot be shared evenly by 2 workers",
    "Careless has no wait_time",
    "were ever there, and the figures are theirs",
    "requests had an empty body",
    "the answers of predict are all reported as 0 bytes long",
    "boto3 clients served",
)

# The slowest first.
CLIENTS = (
    Client("sdk_v2", build_python, "requirements.lock", "python", "client.py", "tiny_conv.tar.gz"),
    Client("sdk_v3", build_python, "requirements.lock", "python", "client.py"),
    Client("aws_cli", build_python, "requirements.lock", "bash", "client.sh"),
    Client(
        *("locust", build_python, "requirements.lock", "python", "client.py"),
        files=LOCUST_FILES,
        remarks=LOCUST_REMARKS,
        # The example's users are the lab's.
        variables={"PYTHONPATH": str(HERE.parent / "src")},
    ),
    # No client of AWS's: an example that runs as its README says, with packages of its own.
    Client(
        *("sklearn", build_python, "requirements.lock", "bash", "play.sh"),
        files=SKLEARN_FILES,
        variables={"WINDTUNNEL": f"{sys.executable} -m windtunnel"},
    ),
    Client("javascript", build_node, "package-lock.json", "node", "client.mjs"),
)


def main(names: Sequence[str]) -> int:
    """Build and run the named clients, or all; return the exit status."""
    unknown = set(names) - {client.name for client in CLIENTS}
    if unknown:
        known = ", ".join(client.name for client in CLIENTS)
        raise SystemExit(f"clients: there is no {', '.join(sorted(unknown))}; there are {known}.")
    chosen = [client for client in CLIENTS if not names or client.name in names]
    if any(client.build is build_node for client in chosen) and shutil.which("npm") is None:
        raise SystemExit(
            "clients: npm is not installed. On Debian or Ubuntu:  "
            "sudo apt-get install -y --no-install-recommends nodejs npm"
        )
    ENVIRONMENTS.mkdir(exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="windtunnel-clients-") as temporary:
        directory = Path(temporary)
        home = Home(directory / "home")
        with (
            running_cloud(home, log=ENVIRONMENTS / "cloud.log") as cloud,
            ThreadPoolExecutor(AT_A_TIME) as pool,
        ):
            models = make_models(directory / "models")
            runs = {
                pool.submit(play, client, cloud, models, directory / client.name): client
                for client in chosen
            }
            for run in as_completed(runs):
                client = runs[run]
                try:
                    print(f"{client.name:12}{run.result()}", flush=True)
                except ClientError as error:
                    failed += 1
                    print(f"{client.name:12}FAILED: {error}", flush=True)
                    show_log(client)
    print(f"clients: {len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


def make_models(directory: Path) -> Path:
    """Write the archives of two tiny models; TensorFlow stays out of this process."""
    subprocess.run(
        [sys.executable, "-m", "windtunnel.sample.tiny", str(directory)],
        check=True,
        capture_output=True,
    )
    return directory


def play(client: Client, cloud: CloudProcess, models: Path, user: Path) -> str:
    """Build a client where it is not, and run it in the cloud; return what it came to."""
    client.log.write_bytes(b"")
    begin_s = time.monotonic()
    is_new = ensure_built(client)
    built_s = time.monotonic()
    # Node looks for packages beside the program, so all of them run from their environment.
    program = shutil.copy(client.source / client.program, client.environment)
    for file in client.files:
        shutil.copy(file, client.environment)
    path = os.pathsep.join([str(client.environment / "bin"), os.environ["PATH"]])
    for name, content in DECOY_FILES.items():
        (user / name).parent.mkdir(parents=True, exist_ok=True)
        (user / name).write_text(content)
    call(
        client,
        [
            *INSIDE,
            "--home",
            cloud.home.path,
            "--",
            client.interpreter,
            program,
            models / client.model,
        ],
        RUN_TIMEOUT_S,
        {**os.environ, **DECOY_VARIABLES, **client.variables, "HOME": str(user), "PATH": path},
    )
    check_remarks(client)
    found = {str(f.relative_to(user)): f.read_text() for f in (user / ".aws").rglob("*")}
    if found != DECOY_FILES:
        raise ClientError(f"the user's own AWS files have become {found}")
    steps = len(re.findall(rb"^[-.?!]*ok: ", client.log.read_bytes(), re.MULTILINE))
    built = f", built in {built_s - begin_s:.0f} s" if is_new else ""
    return f"{steps:2} steps in {time.monotonic() - built_s:.0f} s{built}"


def check_remarks(client: Client) -> None:
    """Raise unless `windtunnel run` said each of a client's faults, once."""
    told = [
        line
        for line in client.log.read_text(errors="replace").splitlines()
        if line.startswith("windtunnel: ")
    ]
    for remark in client.remarks:
        if sum(remark in line for line in told) != 1:
            raise ClientError(f"nobody said {remark!r}, or twice")


def ensure_built(client: Client) -> bool:
    """Build a client's environment unless it is what the lock file says; say whether it was."""
    lock = (client.source / client.lock).read_bytes()
    wanted = hashlib.sha256(lock + sys.version.encode()).hexdigest()
    stamp = client.environment / ".stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    shutil.rmtree(client.environment, ignore_errors=True)
    client.build(client)
    stamp.write_text(wanted)
    return True


def call(
    client: Client,
    command: Sequence[str | Path],
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command to its end, its output in the client's log; raise if it failed."""
    with client.log.open("ab") as log:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ClientError(f"no end in {timeout_s:.0f} s") from None
    if done.returncode != 0:
        raise ClientError(f"exit status {done.returncode}")


def show_log(client: Client) -> None:
    """Print the end of what a client said."""
    lines = client.log.read_text(errors="replace").splitlines()
    for line in lines[-LOG_LINES_SHOWN:]:
        print(f"    {line}")
    print(f"    (all of it: {client.log.relative_to(HERE.parent)})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
