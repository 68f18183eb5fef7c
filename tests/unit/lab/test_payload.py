"""Sets of payloads: files, folders, lines, and what none of them may be."""

from pathlib import Path

import pytest

from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.payload import check_header, read_payload, read_payloads


def _file(path: Path, body: bytes = b"body") -> Path:
    path.write_bytes(body)
    return path


def test_files_are_sent_in_the_weights_behind_their_colons(tmp_path: Path) -> None:
    """Real traffic is many small requests and a few large ones."""
    small, large = _file(tmp_path / "small.json", b"1"), _file(tmp_path / "large.csv", b"2,3")

    found = read_payloads([f"{small}:3", str(large), f"{small}:0.5"], None)

    assert [(each.body, each.weight) for each in found] == [(b"1", 3.0), (b"2,3", 1.0), (b"1", 0.5)]
    assert [each.content_type for each in found][:2] == ["application/json", "text/csv"]
    assert found[0].name == str(small)


def test_a_file_that_is_named_with_a_colon_is_that_file(tmp_path: Path) -> None:
    """`12:30` is an hour in a name at least as often as a weight."""
    _file(tmp_path / "at-12", b"other")
    file = _file(tmp_path / "at-12:30", b"this")

    (plain,) = read_payloads([str(file)], None)
    (weighted,) = read_payloads([f"{file}:2"], None)

    assert (plain.body, plain.weight) == (b"this", 1.0)
    assert (weighted.body, weighted.weight) == (b"this", 2.0)


def test_a_folder_stands_for_its_files_which_share_its_weight(tmp_path: Path) -> None:
    """A folder of a thousand pictures must not drown the one file beside it."""
    folder = tmp_path / "folder"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.json", "a.json", ".hidden", "deeper/c.json"):
        _file(folder / name, name.encode())
    beside = _file(tmp_path / "beside.json")

    found = read_payloads([f"{folder}:3", str(beside)], None)

    assert [(each.body, each.weight) for each in found] == [
        (b"a.json", 1.5),
        (b"b.json", 1.5),
        (b"body", 1.0),
    ]


def test_each_line_of_a_file_is_a_body(tmp_path: Path) -> None:
    """Recorded requests come as JSON Lines; its ends and blank lines are no part of them."""
    lines = _file(tmp_path / "l.jsonl", b'{"a": 1}\r\n\n  \n{"b":\x0b2}\n{"c": 3}')

    found = read_payloads([], lines)

    assert [each.body for each in found] == [b'{"a": 1}', b'{"b":\x0b2}', b'{"c": 3}']
    assert [each.name.rpartition(":")[2] for each in found] == ["1", "4", "5"]
    assert {each.content_type for each in found} == {"application/json"}
    assert {each.content_type for each in read_payloads([], lines, "text/csv")} == {"text/csv"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("missing.json", "cannot be read: No such file"),
        ("missing.json:3", "missing.json cannot be read: No such file"),
        ("one:0", "a weight is more than 0"),
        ("none", "is empty"),
        ("void", "has no file to send"),
    ],
)
def test_what_cannot_be_sent_is_named(tmp_path: Path, word: str, expected: str) -> None:
    """Before anything is sent."""
    _file(tmp_path / "one")
    _file(tmp_path / "none", b"")
    (tmp_path / "void").mkdir()

    with pytest.raises(UsageError, match=expected):
        read_payloads([str(tmp_path / word)], None)


def test_nothing_to_send_is_refused(tmp_path: Path) -> None:
    """A file of blank lines is not a forgotten option."""
    with pytest.raises(UsageError, match="Name what to send"):
        read_payloads([], None)
    with pytest.raises(UsageError, match="has no line to send"):
        read_payloads([], _file(tmp_path / "blank", b"\n \n\n"))


def test_a_set_that_is_too_large_is_refused_as_soon_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every load process keeps every payload; and a folder may have more than memory does."""
    for number in range(4):
        _file(tmp_path / f"{number}.json", b"12345")
    lines = _file(tmp_path / "3.json", b"1\n2\n3\n4\n")
    # Last, and never reached: it cannot be read.
    (tmp_path / "9.json").symlink_to(tmp_path / "nowhere" / "at all")
    monkeypatch.setattr(limits, "LOAD_PAYLOADS_COUNT_MAX", 3)
    with pytest.raises(UsageError, match="at most 3 different payloads"):
        read_payloads([str(tmp_path)], None)
    with pytest.raises(UsageError, match="at most 3 different payloads"):
        read_payloads([], lines)

    monkeypatch.setattr(limits, "LOAD_PAYLOADS_BYTES_MAX", 12)
    with pytest.raises(UsageError, match="at most 12 bytes in all"):
        read_payloads([str(tmp_path)], None)
    monkeypatch.setattr(limits, "LOAD_PAYLOADS_BYTES_MAX", 5)
    with pytest.raises(UsageError, match="at most 5 bytes in all"):
        read_payloads([], lines)


def test_a_body_that_invoke_endpoint_does_not_take_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line too long in ten thousand would be ten thousandths of errors, all the run long."""
    monkeypatch.setattr(limits, "INVOKE_BODY_BYTES_MAX", 3)

    with pytest.raises(UsageError, match=r"l\.jsonl:2 has more than 3 bytes"):
        read_payloads([], _file(tmp_path / "l.jsonl", b"1\n2222\n"))


@pytest.mark.parametrize("value", ["a\nX-Evil: 1", "text/csv\r", "é", " ", "text\tcsv", "a\x7f"])
def test_what_is_no_header_is_refused_before_it_is_sent(tmp_path: Path, value: str) -> None:
    """A line's end would be a header nobody asked for; other letters each server reads its way."""
    file = _file(tmp_path / "a.json")

    for refuse in (
        lambda: read_payloads([str(file)], None, value),
        lambda: read_payload(file, value),
        lambda: check_header("--accept", value),
    ):
        with pytest.raises(UsageError, match="one line of printable ASCII"):
            refuse()


def test_a_header_may_have_parameters() -> None:
    """`text/csv; charset=utf-8` is what many models want to be told."""
    check_header("--accept", "text/csv; charset=utf-8, */*;q=0.5")
    check_header("--accept", None)
