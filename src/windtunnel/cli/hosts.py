"""The options of `windtunnel load` that say which processes, on which hosts, send the load."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.core import limits

if TYPE_CHECKING:
    from windtunnel.lab.load.plan import Listening

_PANEL = "Load processes and hosts"
# Locust's own.
_PORT = 5557
# What --master is for: workers come from other hosts.
_EVERYWHERE = "0.0.0.0"  # noqa: S104

ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes",
        metavar="P",
        help="Load processes on this machine; else 1.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
MasterOption = Annotated[
    bool,
    typer.Option(
        "--master",
        help="Send nothing from here: let --workers processes of other hosts join, and gather what "
        "they measure. Only where nobody else can reach the port: whoever does can take part.",
        rich_help_panel=_PANEL,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="With --master: how many worker processes the run has; it begins when all are there.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
BindHostOption = Annotated[
    str | None,
    typer.Option(
        "--bind-host",
        metavar="ADDRESS",
        help="With --master: the address of this machine that workers connect to; else all of "
        "them.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
WorkersTimeoutOption = Annotated[
    str | None,
    typer.Option(
        "--workers-timeout",
        metavar="T",
        help="How long a --master waits for all workers, and a --worker for its master; else "
        f"{limits.LOAD_WORKERS_TIMEOUT_S:.0f}s. A worker that is given it waits for its master's "
        "name, too.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
WorkerOption = Annotated[
    bool,
    typer.Option(
        "--worker",
        help="Be --processes workers of a master elsewhere, which says what to send. Requests are "
        "signed with this host's own credentials (--cloud, --profile). Needs no other words.",
        rich_help_panel=_PANEL,
    ),
]
MasterHostOption = Annotated[
    str | None,
    typer.Option(
        "--master-host",
        metavar="H",
        help="With --worker: where the master is.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
MasterPortOption = Annotated[
    int | None,
    typer.Option(
        "--master-port",
        metavar="P",
        help=f"The port at which workers join; else {_PORT}.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Hosts:
    """Who sends: processes here, or workers of other hosts."""

    processes: ProcessesOption = None
    master: MasterOption = False
    workers: WorkersOption = None
    bind_host: BindHostOption = None
    workers_timeout: WorkersTimeoutOption = None
    worker: WorkerOption = False
    master_host: MasterHostOption = None
    master_port: MasterPortOption = None

    def check(self) -> None:
        """Refuse words that do not go together."""
        from windtunnel.core.errors import UsageError

        if self.master and self.worker:
            raise UsageError("--master and --worker are two hosts' words: start one of each.")
        if self.worker and self.master_host is None:
            raise UsageError("--worker needs the --master-host that it belongs to.")
        if not self.worker and self.master_host is not None:
            raise UsageError("--master-host goes with --worker.")
        if self.master and self.workers is None:
            raise UsageError("--master needs to know how many --workers to wait for.")
        if self.master and self.processes is not None:
            raise UsageError(
                "--processes are a worker's: a master sends nothing. Start a `windtunnel load "
                "--worker --master-host localhost` beside it."
            )
        self._check_others()

    def _check_others(self) -> None:
        """Refuse words without the one that they go with."""
        from windtunnel.core.errors import UsageError

        given = {"--workers": self.workers, "--bind-host": self.bind_host}
        if not self.master and (name := _named(given)):
            raise UsageError(f"{name} goes with --master.")
        given = {"--workers-timeout": self.workers_timeout, "--master-port": self.master_port}
        if not self.master and not self.worker and (name := _named(given)):
            raise UsageError(f"{name} goes with --master or --worker.")
        if not 0 < self.port < 2**16:
            raise UsageError("--master-port is a number from 1 to 65535.")

    @property
    def port(self) -> int:
        """Where workers join."""
        return _PORT if self.master_port is None else self.master_port

    @property
    def patience_s(self) -> float:
        """How long a master waits for its workers, and a worker for its master."""
        from windtunnel.lab.quantities import parse_duration

        if self.workers_timeout is None:
            return limits.LOAD_WORKERS_TIMEOUT_S
        return parse_duration(self.workers_timeout, "--workers-timeout")

    @property
    def count(self) -> int:
        """How many load processes the run has."""
        given = self.workers if self.master else self.processes
        return 1 if given is None else given

    @property
    def count_word(self) -> str:
        """How that number was said."""
        return "--workers" if self.master else "--processes"

    def listening(self) -> "Listening | None":
        """Return where workers of other hosts are waited for, if they are."""
        from windtunnel.core.errors import NotReadyError
        from windtunnel.lab.load import ports
        from windtunnel.lab.load.plan import Listening

        if not self.master:
            return None
        patience_s = self.patience_s
        host = _EVERYWHERE if self.bind_host is None else self.bind_host
        why = ports.refusal(host, self.port)
        if why is not None:
            raise NotReadyError(why)
        return Listening(host, self.port, patience_s)


def _named(words: Mapping[str, object]) -> str:
    """Return the first of the words that was given, or nothing."""
    return next((name for name, value in words.items() if value is not None), "")
