"""The options by which a command is a gate in a pipeline."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from windtunnel.lab.gate import GateFiles
    from windtunnel.lab.run_directory import Run

_GATE = "In a pipeline"
# Set by GitHub Actions: the file whose Markdown is shown on the page of the job.
_JOB_SUMMARY = "GITHUB_STEP_SUMMARY"

BaselineOption = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        metavar="DIR",
        help="An earlier run of the same load. A figure that is worse than there by more than "
        "chance explains ends with status 1; runs that cannot be compared are refused first.",
        rich_help_panel=_GATE,
        show_default=False,
    ),
]
JunitOption = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE",
        help="A JUnit file: one test case each for validity, every objective and every figure of "
        "the baseline.",
        rich_help_panel=_GATE,
        show_default=False,
    ),
]
SummaryMarkdownOption = Annotated[
    Path | None,
    typer.Option(
        "--summary-markdown",
        metavar="FILE",
        help="A file to which a short Markdown table is added. In GitHub Actions the job's "
        f"summary gets it anyway ({_JOB_SUMMARY}).",
        rich_help_panel=_GATE,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Gate:
    """What a run is held to, and who is told."""

    baseline: BaselineOption = None
    junit: JunitOption = None
    summary_markdown: SummaryMarkdownOption = None

    def read_baseline(self) -> "Run | None":
        """Return the run that this one is held to, if any."""
        from windtunnel.lab import baseline as baselines

        return None if self.baseline is None else baselines.read(self.baseline)

    def files(self, out: Path) -> "GateFiles":
        """Return the files a pipeline wants, once it is known that they can be written."""
        from windtunnel.lab.gate import GateFiles

        job_summary = os.environ.get(_JOB_SUMMARY)
        wanted = Path(job_summary) if job_summary else None
        found = GateFiles(self.junit, self.summary_markdown, wanted)
        found.check(out)
        return found
