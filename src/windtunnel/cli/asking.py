"""A question that must be answered before something costs money or is gone."""

import sys

import typer

from windtunnel.core.errors import UsageError


def confirm(question: str, *, yes: bool, what: str) -> None:
    """Go on after a yes; end here after a no, or where nobody can answer and --yes is missing."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"Nobody is here to be asked: say --yes to {what}.")
    typer.confirm(question, abort=True, err=True)
