"""What classify and regress found, to TensorFlow Serving's JSON.

`results` has an element for each example: a number, or a list of pairs of a label and a score
(MakeJsonFromClassificationResult and MakeJsonFromRegressionResult in json_tensor.cc).
"""

import json

import numpy as np
import numpy.typing as npt

from windtunnel.serving.codecs.answers import encode_tensor


def encode_classes(
    labels: npt.NDArray[np.object_] | None, scores: npt.NDArray[np.float32] | None
) -> list[bytes]:
    """Return the text of a classify answer; what the model leaves out is "" and 0.0."""
    given = labels if labels is not None else scores
    assert given is not None
    if labels is None:
        labels = np.full(given.shape, b"", np.object_)
    if scores is None:
        scores = np.zeros(given.shape, np.float32)
    rows = [
        b"[" + b",".join(map(_encode_pair, row, _numbers(numbers))) + b"]"
        for row, numbers in zip(labels.tolist(), scores, strict=True)
    ]
    return [b'{"results":[', b",".join(rows), b"]}"]


def encode_values(values: npt.NDArray[np.float32]) -> list[bytes]:
    """Return the text of a regress answer."""
    return [b'{"results":', *encode_tensor("results", values), b"}"]


def _numbers(scores: npt.NDArray[np.float32]) -> list[bytes]:
    """Return each number's text."""
    if not scores.size:
        return []
    return b"".join(encode_tensor("scores", scores))[1:-1].split(b",")


def _encode_pair(label: bytes, score: bytes) -> bytes:
    # TensorFlow Serving writes the bytes as they are, UTF-8 or not.
    text = json.dumps(label.decode("utf-8", "surrogateescape"), ensure_ascii=False)
    return b"[" + text.encode("utf-8", "surrogateescape") + b"," + score + b"]"
