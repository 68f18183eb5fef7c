"""Signatures are found in a SavedModel's file without reading its graph."""

from pathlib import Path

import pytest

from windtunnel.serving.codecs.wire import write_field
from windtunnel.serving.definitions import read_definitions
from windtunnel.serving.errors import LoadError


def graph(tag: bytes, **signatures: bytes) -> bytes:
    """Return a MetaGraphDef with this tag and these serialized signatures."""
    info = b"".join((*write_field(1, [b"x"]), *write_field(4, [tag])))
    chunks: list[bytes | memoryview] = [*write_field(1, [info]), *write_field(2, [b"\xff" * 1000])]
    for name, text in signatures.items():
        entry = b"".join((*write_field(1, [name.encode()]), *write_field(2, [text])))
        chunks += write_field(5, [entry])
    return b"".join(chunks)


def read(directory: Path, *graphs: bytes) -> dict[str, bytes]:
    chunks: list[bytes | memoryview] = [b"\x08\x01"]
    for found in graphs:
        chunks += write_field(2, [found])
    (directory / "saved_model.pb").write_bytes(b"".join(chunks))
    return read_definitions(directory)


def test_the_graph_for_serving_is_the_one(tmp_path: Path) -> None:
    """A model may have a graph for training beside it, with signatures of its own."""
    train, serve = graph(b"train", t=b"1"), graph(b"serve", a=b"2", b=b"3")

    assert read(tmp_path, train, serve) == {"a": b"2", "b": b"3"}
    assert read(tmp_path, train) == {"t": b"1"}
    assert read(tmp_path) == {}


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    """The reason of a failed start names the file."""
    (tmp_path / "saved_model.pb").write_bytes(b"not a model")

    with pytest.raises(LoadError, match=r"saved_model\.pb is not a SavedModel"):
        read_definitions(tmp_path)
