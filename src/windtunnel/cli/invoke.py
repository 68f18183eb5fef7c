"""`windtunnel invoke`: one request, its answer on stdout."""

import sys
from typing import Annotated

import typer

from windtunnel.cli import options


def invoke(
    endpoint_name: Annotated[
        str, typer.Argument(metavar="ENDPOINT", help="The endpoint's name.", show_default=False)
    ],
    payload: options.PayloadOption,
    where: options.Where,
    content_type: options.ContentTypeOption = None,
    accept: options.AcceptOption = None,
) -> None:
    """Send one request and write the answer to stdout, byte for byte.

    [bold]Example[/bold]: windtunnel invoke unet --payload payload.json > answer.json

    Exit status: 0 answered; 1 the model or SageMaker refused it; 2 wrong words
    or files; 4 no such endpoint, credentials or cloud.
    """
    from windtunnel.lab import invocation
    from windtunnel.lab.order import check_endpoint_name
    from windtunnel.lab.payload import check_header, read_payload

    check_endpoint_name(endpoint_name)
    check_header("--accept", accept)
    body = read_payload(payload, content_type)
    target = where.open()
    answer = invocation.invoke(target, endpoint_name, body, accept)
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
