"""The files by which a pipeline is told of a run: JUnit and Markdown.

A pipeline reads what lies there, also when the run broke off, so a file of an earlier run is
removed before anything is sent, and one that says `did not come to its end` lies there until the
run did. What is no JUnit file is never overwritten; Markdown is added to the file's end, because
other steps of a job write into the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.core.errors import UsageError
from windtunnel.lab.report import junit, markdown


@dataclass(frozen=True)
class GateFiles:
    """Where a pipeline looks, if anywhere."""

    junit: Path | None
    markdown: Path | None
    # Of GitHub Actions: the job's own summary.
    job_summary: Path | None

    def check(self, out: Path) -> None:
        """Refuse what cannot be written, and remove what an earlier run left; `out` will be made.

        Nothing is said of the job's summary: it is not what the person asked for.
        """
        for option, path in (("--junit", self.junit), ("--summary-markdown", self.markdown)):
            if path is not None:
                _check_place(option, path, out)
        if self.junit is not None and self.junit.exists():
            _remove_earlier(self.junit)

    def begin(self, endpoint_name: str) -> None:
        """Write what stands until the run has ended, which shows that it can be."""
        try:
            if self.junit is not None:
                self.junit.write_text(junit.render_unfinished(endpoint_name), encoding="utf-8")
            if self.markdown is not None:
                _append(self.markdown, "")
        except OSError as error:
            raise UsageError(f"{error.filename} cannot be written: {error.strerror}.") from error

    def write(self, summary: Mapping[str, Any]) -> list[str]:
        """Write what the run came to; return what could not be, the run is not lost for it."""
        problems = []
        table = markdown.render(summary)
        try:
            if self.junit is not None:
                self.junit.write_text(junit.render(summary), encoding="utf-8")
        except OSError as error:
            problems.append(f"{self.junit} could not be written: {error.strerror}")
        for path in dict.fromkeys([self.markdown, self.job_summary]):
            try:
                if path is not None:
                    _append(path, table)
            except OSError as error:
                problems.append(f"{path} could not be written: {error.strerror}")
        return problems


def _check_place(option: str, path: Path, out: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{option} {path} is a directory: name a file.")
    parent = path.absolute().parent
    if not parent.is_dir() and parent != out.absolute():
        raise UsageError(f"{option} {path}: there is no directory {path.parent}.")


def _remove_earlier(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(256)
        if start.strip() and b"<testsuite" not in start:
            raise UsageError(f"--junit {path} holds something else: it would be overwritten.")
        path.unlink()
    except OSError as error:
        raise UsageError(f"--junit {path} cannot be used: {error.strerror}.") from error


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", errors="replace") as file:
        file.write(text)
