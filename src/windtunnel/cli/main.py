"""The `windtunnel` command: its list of commands, and how it fails.

Command modules import only the standard library, Typer and `core` at their top; the rooms behind a
command are imported when it runs, so that `--help` and `env` answer at once.
"""

import errno
import sys

import typer

from windtunnel import __version__
from windtunnel.cli import (
    autoscale,
    clean,
    compilation,
    container,
    deploy,
    env,
    invoke,
    load,
    report,
    run,
    sample,
    simulate,
    unread,
    up,
)
from windtunnel.cli.groups import grouped
from windtunnel.core.errors import NotReadyError, WindtunnelError

# 128 + SIGPIPE.
_BROKEN_PIPE = 141

app = typer.Typer(
    name="windtunnel",
    help="Test, tune and size ML inference endpoints on the ground, before they fly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer hands an eager option's value over
    if wanted:
        typer.echo(f"windtunnel {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(  # noqa: FBT001 - acted on by its callback
        False, "--version", help="Print the version.", is_eager=True, callback=_print_version
    ),
) -> None:
    pass


app.command()(up.up)
app.command()(env.env)
# What follows the command is the command's, `--` or not.
app.command(context_settings={"allow_interspersed_args": False})(run.run)
app.command()(container.container)
app.command(name="compile")(compilation.compile_model)
app.command()(grouped(deploy.deploy))
app.command()(grouped(invoke.invoke))
app.command()(grouped(load.load))
app.command()(grouped(autoscale.autoscale))
app.command()(grouped(simulate.simulate))
app.command()(report.report)
app.command()(grouped(clean.clean))
app.add_typer(sample.app, name="sample")


def main() -> None:
    """Run the command line; an explained failure is one sentence on stderr and its exit code."""
    try:
        with unread.tolerated():
            app()
        sys.stdout.flush()
    except WindtunnelError as error:
        typer.echo(f"windtunnel: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output has enough of it (`| head`): the shell's own status for that.
        unread.drop(sys.stdout)
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        typer.echo(f"windtunnel: {_explained(error)}", err=True)
        unread.drop(sys.stdout)
        sys.exit(NotReadyError.exit_code)


def _explained(error: OSError) -> str:
    what = error.strerror or str(error)
    if error.filename is not None:
        return f"{what} ({error.filename})."
    if error.errno == errno.ENOSPC:
        return f"{what}: on the disk of the home, or where the output goes."
    return f"{what}."
