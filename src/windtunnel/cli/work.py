"""`windtunnel load --worker`: load processes that a master elsewhere tells what to send."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from windtunnel.core.errors import NotReadyError, UsageError

if TYPE_CHECKING:
    from windtunnel.cli.hosts import Hosts
    from windtunnel.cli.options import Where


def refuse_others(*groups: Any, **words: object) -> None:  # noqa: ANN401 - groups of options
    """Refuse by name what only a master can mean: it would else be ignored."""
    given = [
        field.name
        for group in groups
        for field in fields(group)
        if getattr(group, field.name) != field.default
    ]
    given += [name for name, value in words.items() if value]
    if given:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        verb = "means" if len(given) == 1 else "mean"
        raise UsageError(f"{names} {verb} nothing with --worker: the master says what to send.")


def serve(hosts: "Hosts", where: "Where", endpoint_name: str | None) -> NoReturn:
    """Be workers until the master's run is over; end with its status."""
    from windtunnel.lab.load import ports
    from windtunnel.lab.load.plan import check_processes
    from windtunnel.lab.load.workers import Workers

    check_processes(hosts.count, None)
    assert hosts.master_host is not None
    patience_s = hosts.patience_s
    # A name may come later, as that of a pod does, for those who say that they wait.
    why = ports.unknown(hosts.master_host) if hosts.workers_timeout is None else None
    if why is not None:
        raise NotReadyError(f"--master-host {hosts.master_host} is no host that is known: {why}.")
    workers = Workers(
        where.open(),
        hosts.master_host,
        hosts.port,
        hosts.count,
        endpoint_name=endpoint_name,
        patience_s=patience_s,
        say=lambda text: typer.echo(text, err=True),
    )
    raise typer.Exit(workers.run())
