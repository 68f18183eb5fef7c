"""A body of /invocations, to the predict request that it stands for.

The original does this in its nginx (tensorflowServing.js of the SageMaker TensorFlow Serving
container): TensorFlow Serving's own JSON passes, a list without a key becomes `instances`, JSON
lines and CSV become one instance a line. Bodies that are a tensor's bytes it refuses; here they are
taken (`binary.py`). Where the original is plainly wrong this is not: a charset
after the content type is taken, and every comma and quote of a CSV line counts, not only the first.

Rule: only text is rearranged here; `predict.py` reads it and says what is wrong with it.
"""

import json
import re
from collections.abc import Mapping

from windtunnel.serving.codecs.binary import NPY_TYPE, RAW_TYPE, decode_binary
from windtunnel.serving.codecs.media import parse_media
from windtunnel.serving.codecs.predict import (
    Form,
    PredictRequest,
    decode_dense,
    decode_predict,
)
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import Signature

_JSON_TYPES = frozenset((b"application/json", b"application/jsonlines", b"application/jsons"))
_CSV_TYPE = b"text/csv"

_PREDICT_KEY = re.compile(rb'"(?:instances|inputs|examples)"\s*:')
_SECOND_VALUE = re.compile(rb"[}\]]\s*[\[{]")
_NESTED_LIST = re.compile(rb"\s*\[\s*\[")
_LINE_END = re.compile(rb"\r?\n")
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|NaN|-?Infinity")


def decode_invocation(
    body: bytes, content_type: bytes | None, signatures: Mapping[str, Signature]
) -> PredictRequest:
    """Return the predict request that a body stands for, or raise what is wrong with it."""
    media, parameters = parse_media(content_type)
    if media in (NPY_TYPE, RAW_TYPE):
        return decode_binary(body, media, parameters, signatures)
    is_csv = _is_csv(content_type)
    if not body:
        raise RequestError("JSON Parse error: The document is empty")
    if is_csv:
        return decode_predict(rewrite_csv(body), signatures, Form.INSTANCES)
    # In one valid array of numbers there is no second value to find, and looking for it costs more
    # than reading the array.
    if b'"' not in body:
        request = decode_dense(body, signatures, _bare_form(body))
        if request is not None:
            return request
    text, form = rewrite_json(body)
    return decode_predict(text, signatures, form)


def complete_invocation(body: bytes, content_type: bytes | None) -> bytes:
    """Return the document that a body stands for, whatever it is asked for.

    What is neither classify's nor regress's becomes `instances` here, too, and they refuse it.
    """
    if _is_csv(content_type):
        text, form = rewrite_csv(body), Form.INSTANCES
    else:
        text, form = rewrite_json(body)
    if form is Form.DOCUMENT:
        return text
    return b'{"instances":' + (b"[" + text + b"]" if form is Form.INSTANCE else text) + b"}"


def _is_csv(content_type: bytes | None) -> bool:
    """Say whether a body is CSV and not JSON; refuse what is neither."""
    media, _ = parse_media(content_type)
    if media not in _JSON_TYPES and media != _CSV_TYPE:
        shown = (content_type or b"Unknown").decode("latin-1")
        raise RequestError(f"Unsupported Media Type: {shown}", 415)
    return media == _CSV_TYPE


def rewrite_json(body: bytes) -> tuple[bytes, Form]:
    """Return the text of a predict request that JSON or JSON lines stand for, and its form."""
    if _PREDICT_KEY.search(body):
        return body, Form.DOCUMENT
    if not _SECOND_VALUE.search(body):
        return body, _bare_form(body)
    lines = _lines(body)
    if len(lines) == 1:
        # Two values on one line: not JSON, and the reader will say where it stops being that.
        return lines[0], Form.INSTANCES
    return b"[" + b",".join(lines) + b"]", Form.INSTANCES


def _bare_form(body: bytes) -> Form:
    return Form.INSTANCES if _NESTED_LIST.match(body) else Form.INSTANCE


def rewrite_csv(body: bytes) -> bytes:
    """Return CSV as a JSON list of its lines: a list of cells, or the cell of a single column."""
    lines = _lines(body)
    if not lines:
        return b""
    first = lines[0].partition(b",")[0].strip()
    is_text = not (first.startswith(b'"') or _NUMBER.fullmatch(first))
    return b"[" + b",".join(_rewrite_line(line, is_text=is_text) for line in lines) + b"]"


def _rewrite_line(line: bytes, *, is_text: bool) -> bytes:
    if is_text:
        cells = line.decode("utf-8", "surrogateescape").split(",")
        quoted = ",".join(json.dumps(cell, ensure_ascii=False) for cell in cells)
        line = quoted.encode("utf-8", "surrogateescape")
    return b"[" + line + b"]" if b"," in line else line


def _lines(body: bytes) -> list[bytes]:
    stripped = (line.strip() for line in _LINE_END.split(body.strip()))
    return [line for line in stripped if line]
