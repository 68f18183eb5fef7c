"""The home: the one directory that holds everything a local cloud knows.

Deleting it is a clean slate, and two homes never meet. Rules: every path below it is named here
and nowhere else; one `up` at a time holds the lock; secrets are readable by their owner only.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from windtunnel.core.errors import NotReadyError

ACCOUNT_ID = "000000000000"
# sockaddr_un.sun_path holds 108 bytes on Linux, 104 on macOS; the names in `run` need about 40.
_SOCKET_DIRECTORY_BYTES_MAX = 60


class HomeInUseError(NotReadyError):
    """Another `up` holds this home."""


@dataclass(frozen=True)
class Credentials:
    """A key pair of the home's own; it opens nothing but this home's cloud."""

    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class CloudRecord:
    """Where the cloud of a home answers, as `up` wrote it down."""

    url: str
    pid: int
    generation: str
    warp: float
    region: str = "us-east-1"
    # Whether it starts instances and shows metrics at once, not as slowly as AWS.
    is_instant: bool = True


class Home:
    """Paths, the lock and the credentials of one home."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "windtunnel.sqlite3"
        self.metrics = path / "metrics.sqlite3"
        self.objects = path / "s3"
        self.models = path / "models"
        self.logs = path / "logs"
        self.cache = path / "cache"
        self.compilations = self.cache / "compilations"
        # What compilation jobs are making.
        self.jobs = path / "jobs"
        self.aws_config = path / "aws" / "config"
        self.aws_credentials = path / "aws" / "credentials"
        # The proxy's certificate authority; the key never leaves this directory.
        self.authority_key = path / "authority" / "key.pem"
        self.authority_certificate = path / "authority" / "certificate.pem"
        # The authority and everybody else's: what clients are told to trust.
        self.measurement_lease = path / "measurement.lock"
        # Held while a `run` looks for, starts or ends the cloud; held by every `run` that uses it.
        self.start_lock = path / "start.lock"
        self.use_lock = path / "use.lock"
        # First on the PATH of a command inside; `lab/load/locust_launch.py` knows it by its name.
        self.shims = path / "windtunnel-shims"
        self._lock_file = path / "up.lock"
        self._record_file = path / "cloud.json"
        self._credentials_file = path / "credentials.json"

    @classmethod
    def resolve(cls, option: Path | None = None) -> "Home":
        """Return the home named by `--home`, else WINDTUNNEL_HOME, else `~/.windtunnel`."""
        chosen = option or os.environ.get("WINDTUNNEL_HOME") or Path.home() / ".windtunnel"
        return cls(Path(chosen).expanduser().absolute())

    def trust_bundle(self, name: str) -> Path:
        """Return the file of one set of authorities to trust."""
        return self.authority_certificate.with_name(f"bundle-{name}.pem")

    def trust_bundles(self) -> list[Path]:
        """Return all such files, the youngest first."""
        found = self.authority_certificate.parent.glob("bundle-*.pem")
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    @property
    def id(self) -> str:
        """A short name of this home: what marks its processes."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]

    def prepare(self) -> None:
        """Make the directories, or say why they cannot be made."""
        try:
            for directory in (self.path, self.objects, self.models, self.logs, self.cache):
                directory.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise NotReadyError(
                f"The home {self.path} cannot be written ({error.strerror}): "
                "name another with --home or WINDTUNNEL_HOME."
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this home for one `up`; the kernel lets go however the process ends."""
        self.prepare()
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                record = self.record()
                where = f" (process {record.pid} at {record.url})" if record else ""
                raise HomeInUseError(
                    f"The home {self.path} is in use by another `windtunnel up`{where}: "
                    "stop it, or name another home with --home."
                ) from None
            yield
        finally:
            os.close(descriptor)

    def is_locked(self) -> bool:
        """Say whether an `up` holds this home now."""
        try:
            # A lock can be asked for of a file that may only be read.
            descriptor = os.open(self._lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def write_record(self, record: CloudRecord) -> None:
        """Write down where the cloud answers, whole or not at all."""
        write_private(self._record_file, json.dumps(record.__dict__))

    def forget_record(self) -> None:
        """Remove the record when the cloud ends."""
        self._record_file.unlink(missing_ok=True)

    def record(self) -> CloudRecord | None:
        """Return what the last `up` wrote down; it may be gone, see `running`."""
        try:
            return CloudRecord(**json.loads(self._record_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def running(self) -> CloudRecord:
        """Return where this home's cloud answers, or say how to start one."""
        record = self.record()
        if record is None or not self.is_locked():
            option = "" if self.path == Path.home() / ".windtunnel" else f" --home {self.path}"
            raise NotReadyError(
                f"No local cloud is up in {self.path}: start one with `windtunnel up{option}`."
            )
        return record

    def credentials(self) -> Credentials:
        """Return the home's own key pair, made on first use."""
        try:
            return Credentials(**json.loads(self._credentials_file.read_text()))
        except (OSError, ValueError, TypeError):
            pass
        self.prepare()
        # AWS's own form: 20 characters from base32 with the prefix AKIA, 40 from base64.
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        made = Credentials(
            access_key_id="AKIA" + "".join(secrets.choice(alphabet) for _ in range(16)),
            secret_access_key=secrets.token_urlsafe(30),
        )
        write_private(self._credentials_file, json.dumps(made.__dict__))
        return made

    @contextlib.contextmanager
    def socket_directory(self) -> Iterator[Path]:
        """Hold a private directory whose path is short enough for Unix sockets."""
        inside = self.path / "run"
        if len(os.fsencode(inside)) <= _SOCKET_DIRECTORY_BYTES_MAX:
            inside.mkdir(mode=0o700, exist_ok=True)
            yield inside
            return
        with tempfile.TemporaryDirectory(prefix=f"windtunnel-{self.id}-") as outside:
            yield Path(outside)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; a reader sees the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
