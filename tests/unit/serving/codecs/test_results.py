"""What classify and regress found is written as TensorFlow Serving writes it."""

import numpy as np

from windtunnel.serving.codecs.results import encode_classes, encode_values


def test_classes_are_pairs_of_label_and_score() -> None:
    """One list of pairs for each example; labels are text, whatever bytes they are."""
    labels = np.array([[b"cat", b"d\xffg"], ["hé".encode(), b'"']], np.object_)
    scores = np.array([[0.1, 1], [np.nan, np.inf]], np.float32)

    assert b"".join(encode_classes(labels, scores)) == (
        b'{"results":[[["cat",0.1],["d\xffg",1.0]],[["h\xc3\xa9",NaN],["\\"",Infinity]]]}'
    )


def test_what_a_model_leaves_out_has_its_default() -> None:
    """A score without a label still stands in a pair."""
    assert (
        b"".join(encode_classes(None, np.array([[2]], np.float32))) == b'{"results":[[["",2.0]]]}'
    )
    assert b"".join(encode_classes(np.array([[b"a"]], np.object_), None)) == (
        b'{"results":[[["a",0.0]]]}'
    )
    assert b"".join(encode_classes(None, np.zeros((2, 0), np.float32))) == b'{"results":[[],[]]}'


def test_values_are_a_plain_list() -> None:
    """One number for each example, whole ones with their point."""
    assert b"".join(encode_values(np.array([3.5, 4], np.float32))) == b'{"results":[3.5,4.0]}'
