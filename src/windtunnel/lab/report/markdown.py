"""A run's checks as a short Markdown table, as the summary of a GitHub Actions job shows it."""

import html
import re
from collections.abc import Mapping
from typing import Any

from windtunnel.core import limits
from windtunnel.lab import checks, hardware
from windtunnel.lab.quantities import format_duration, format_percent, format_rate

# What GitHub's Markdown would take for markup, or for the end of a cell.
_MARKUP = re.compile(r"([\\`*_\[\]#|~@$])")
_SPACE = re.compile(r"\s+")
_HEADS = {True: "passed", False: "failed"}


def render(summary: Mapping[str, Any]) -> str:
    """Return the table of a run."""
    found = checks.of(summary)
    outcome = _HEADS[checks.is_passed(summary)] if summary["valid"] else "INVALID"
    lines = [
        f"### Load on {_text(summary['endpoint'])}: {outcome}",
        "",
        "| check | outcome | what was seen |",
        "|---|---|---|",
        *(
            f"| {_text(check.name)} | {_outcome(check)} | {_text(check.sentence)} |"
            for check in found
        ),
        "",
        _text(_figures(summary)),
        "",
    ]
    return "\n".join(lines) + "\n"


def _outcome(check: checks.Check) -> str:
    text = _text(check.outcome)
    return text if check.status == "passed" else f"**{text}**"


def _figures(summary: Mapping[str, Any]) -> str:
    count, failures = summary["requests"], summary["failures"]
    place = f"on {hardware.place(summary['hardware'])}"
    if not count:
        return f"No request was measured {place}."
    latency = "".join(
        f", {name} {format_duration(value)}"
        for name, value in summary["latency_s"].items()
        if value is not None
    )
    return (
        f"{format_rate(summary['throughput_rps'])} requests/s{latency}; {count:,} requests in "
        f"{format_duration(summary['measured_s'])}, {failures:,} failed "
        f"({format_percent(failures / count)}), {place}."
    )


def _text(words: str) -> str:
    """Return words as one line of plain text: what others wrote is not markup."""
    line = _SPACE.sub(" ", words)
    if len(line) > limits.MARKDOWN_CELL_CHARACTERS_MAX:
        line = line[: limits.MARKDOWN_CELL_CHARACTERS_MAX] + "…"
    return _MARKUP.sub(r"\\\1", html.escape(line, quote=False))
