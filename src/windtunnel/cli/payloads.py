"""The options of `windtunnel load` that say what is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.cli import options

if TYPE_CHECKING:
    from windtunnel.lab.payload import Payload

PayloadOption = Annotated[
    list[str] | None,
    typer.Option(
        "--payload",
        metavar="FILE[:W]",
        help="The requests' body, sent as it is. Given more than once, each file is sent in its "
        "turn by chance, W times as often as one without. A folder stands for its files.",
        show_default=False,
    ),
]
PayloadLinesOption = Annotated[
    Path | None,
    typer.Option(
        "--payload-lines",
        metavar="FILE",
        help="A file of which each line is a body of its own (JSON Lines), drawn by chance.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class What:
    """What is sent, as the command line says it."""

    payload: PayloadOption = None
    payload_lines: PayloadLinesOption = None
    content_type: options.ContentTypeOption = None
    accept: options.AcceptOption = None

    def read(self) -> "Sequence[Payload]":
        """Return the payloads, or say what cannot be sent."""
        from windtunnel.lab.payload import check_header, read_payloads

        check_header("--accept", self.accept)
        return read_payloads(self.payload or [], self.payload_lines, self.content_type)
