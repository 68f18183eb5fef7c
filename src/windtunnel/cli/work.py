"""`windtunnel load --worker`: load processes that a master elsewhere tells what to send."""

from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from windtunnel.cli.hosts import Hosts
    from windtunnel.cli.options import Where


def serve(hosts: "Hosts", where: "Where", endpoint_name: str | None) -> NoReturn:
    """Be workers until the master's run is over; end with its status."""
    from windtunnel.lab.load.plan import check_processes
    from windtunnel.lab.load.workers import Workers

    check_processes(hosts.count, None)
    assert hosts.master_host is not None
    workers = Workers(
        where.open(),
        hosts.master_host,
        hosts.master_port,
        hosts.count,
        endpoint_name=endpoint_name,
        say=lambda text: typer.echo(text, err=True),
    )
    raise typer.Exit(workers.run())
