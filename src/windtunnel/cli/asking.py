"""A question that must be answered before something costs money or is gone."""

import sys

import typer

from windtunnel.core.errors import UsageError


def confirm(question: str, *, yes: bool, what: str) -> None:
    """Go on after a yes; end here after a no, or where nobody can answer and --yes is missing."""
    if yes:
        return
    _require_somebody(what)
    typer.confirm(question, abort=True, err=True)


def confirm_by_name(question: str, name: str, *, yes: bool, what: str) -> None:
    """Go on when a name was typed, where a yes would come too easily; else end here likewise."""
    if yes:
        return
    _require_somebody(what)
    # Not Typer's prompt, which writes the last character of the question to stdout.
    typer.echo(f"{question}: ", nl=False, err=True)
    if sys.stdin.readline().strip() != name:
        raise UsageError(f"What was typed is not {name}, so nothing was done.")


def _require_somebody(what: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(f"Nobody is here to be asked: say --yes to {what}.")
