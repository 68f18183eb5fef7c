"""Where a run can be looked at besides the terminal: Locust's page and files, and Prometheus."""

from dataclasses import dataclass
from pathlib import Path

from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.lab.load import ports

# What Locust adds to the prefix of its CSV files.
_CSV_ENDINGS = ("_stats.csv", "_stats_history.csv", "_failures.csv", "_exceptions.csv")


@dataclass(frozen=True)
class Outlets:
    """Which of them are wanted."""

    # Of the web servers.
    host: str = "127.0.0.1"
    ui_port: int | None = None
    prometheus_port: int | None = None
    csv_prefix: str | None = None
    html: str | None = None

    @property
    def is_any(self) -> bool:
        """Say whether anything is wanted."""
        wanted = (self.ui_port, self.prometheus_port, self.csv_prefix, self.html)
        return any(each is not None for each in wanted)

    @property
    def has_locust(self) -> bool:
        """Say whether Locust's own statistics are wanted."""
        return any(each is not None for each in (self.ui_port, self.csv_prefix, self.html))

    def files(self) -> list[Path]:
        """Return what is written."""
        csv = [Path(f"{self.csv_prefix}{end}") for end in _CSV_ENDINGS] if self.csv_prefix else []
        return [*csv, *([Path(self.html)] if self.html else [])]

    def check(self) -> None:
        """Refuse what could not be there at the end, or listen from the beginning."""
        for path in self.files():
            try:
                with path.open("a"):
                    pass
            except OSError as error:
                raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
        for word, port in (("--ui", self.ui_port), ("--prometheus", self.prometheus_port)):
            why = None if port is None else ports.in_use(self.host, port)
            if why is not None:
                raise NotReadyError(f"{word} cannot listen at {self.host}:{port}: {why}.")
