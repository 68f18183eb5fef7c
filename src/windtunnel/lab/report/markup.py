"""HTML, piece by piece: every text that came from outside is escaped here and nowhere else."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from itertools import count
from typing import Any


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return anything as markup: what is not markup yet is escaped."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def tag(name: str, *inside: object, cls: str = "", **attributes: str) -> Html:
    """Return an element."""
    if cls:
        attributes["class"] = cls
    words = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{words}>{join(inside)}</{name}>")


def join(pieces: Iterable[object]) -> Html:
    """Return pieces one after the other."""
    return Html("".join(text(piece) for piece in pieces))


def table(head: Sequence[object], rows: Iterable[Sequence[object]], cls: str = "") -> Html:
    """Return a table; each row's first cell is its heading, cells may be whole `td` elements."""
    top = tag("thead", tag("tr", *(_cell("th", each) for each in head))) if head else ""
    body = (
        tag("tr", _cell("th", row[0]), *(_cell("td", each) for each in row[1:])) for row in rows
    )
    return tag("div", tag("table", top, tag("tbody", *body), cls=cls), cls="scroll")


def _cell(name: str, value: object) -> Html:
    if isinstance(value, Html) and value.startswith((f"<{name} ", f"<{name}>")):
        return value
    return tag(name, value)


class Plots:
    """The figures of one page, each with a place and a block of data of its own."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def place(self, figure: dict[str, Any]) -> Html:
        """Return the markup of a figure."""
        name = f"figure-{next(self._numbers)}"
        # A `<` could only stand in a text; inside JSON it may be written so that it ends nothing.
        data = json.dumps(figure, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        script = Html(f'<script type="application/json" id="{name}">{data}</script>')
        # The place is as high as what is drawn there.
        style = {"style": f"height:{figure['layout']['height']}px"}
        return join([script, tag("div", cls="plot", **{"data-figure": name}, **style)])
