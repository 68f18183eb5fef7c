"""What a SavedModel says of its signatures: methods, names of tensors, defaults.

Engines hand out functions, which have forgotten some of it: that a signature is meant for classify
or regress, and what its tensors are called in the graph. The file is walked over, not parsed: a
frozen graph in it may have hundreds of megabytes.
"""

import mmap
from pathlib import Path

from windtunnel.serving.codecs.wire import WireError, read_entry, read_fields
from windtunnel.serving.errors import LoadError
from windtunnel.serving.models import SAVED_MODEL

# Numbers of fields: saved_model.proto, meta_graph.proto.
_SAVED_MODEL_META_GRAPHS = 2
_META_GRAPH_INFO = 1
_META_GRAPH_SIGNATURES = 5
_INFO_TAGS = 4
# Of several graphs, the one that TensorFlow Serving takes (kSavedModelTagServe).
_TAG = b"serve"


def read_definitions(directory: Path) -> dict[str, bytes]:
    """Return each signature of a SavedModel by name, as a serialized SignatureDef."""
    path = directory / SAVED_MODEL
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return _read(memoryview(pages))
    except WireError as error:
        raise LoadError(f"{path.name} is not a SavedModel: {error}") from error


def _read(whole: memoryview) -> dict[str, bytes]:
    graphs: list[dict[str, bytes]] = []
    for field in read_fields(whole):
        if field.number != _SAVED_MODEL_META_GRAPHS:
            continue
        tags, signatures = _read_graph(field.payload)
        if _TAG in tags:
            return signatures
        graphs.append(signatures)
    return graphs[0] if graphs else {}


def _read_graph(graph: memoryview) -> tuple[set[bytes], dict[str, bytes]]:
    tags: set[bytes] = set()
    signatures: dict[str, bytes] = {}
    for field in read_fields(graph):
        if field.number == _META_GRAPH_INFO:
            tags |= {
                bytes(found.payload)
                for found in read_fields(field.payload)
                if found.number == _INFO_TAGS
            }
        elif field.number == _META_GRAPH_SIGNATURES:
            name, pieces = read_entry(field.payload)
            signatures[name] = b"".join(pieces)
    return tags, signatures
