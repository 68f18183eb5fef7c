"""Archives, kind and evil, really unpacked."""

import gzip
import io
import itertools
import os
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.core.archive import unpack
from windtunnel.core.archive.contents import ArchiveLimits, Contents, UnpackError

SMALL = ArchiveLimits(unpacked_bytes_max=1_000_000, member_count_max=100)
_FRESH = itertools.count()


def run(archive: bytes, into: Path, limits: ArchiveLimits = SMALL) -> Contents:
    unpack.check_kind(archive[:512])
    return unpack.unpack(io.BytesIO(archive), into, limits)


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """The folder to unpack into; whatever appears beside it has escaped."""
    made = tmp_path / "outside" / "inside"
    made.mkdir(parents=True)
    return made


def test_a_model_archive_unpacks_whole_and_read_only(archives: Any, into: Path) -> None:
    """Every endpoint shares the folder, so no instance may change it."""
    content = os.urandom(3_000)
    archive = gzip.compress(
        archives.tar(
            (archives.entry("./export/Servo/1", tarfile.DIRTYPE, mode=0o777), b""),
            (archives.entry("./export/Servo/1/saved_model.pb", mode=0o6666), content),
            (archives.entry("run.sh", mode=0o4755), b"#!/bin/sh"),
            (archives.entry("current", tarfile.SYMTYPE, "export/Servo/1"), b""),
            (archives.entry("copy", tarfile.LNKTYPE, "export/Servo/1/saved_model.pb"), b""),
        )
    )

    contents = run(archive, into)
    unpack.seal(into)

    assert contents.size_bytes == 3_009
    assert (into / "current" / "saved_model.pb").read_bytes() == content
    assert (into / "copy").samefile(into / "export/Servo/1/saved_model.pb")
    assert (into / "copy").stat().st_mode & 0o7777 == 0o444
    assert (into / "run.sh").stat().st_mode & 0o7777 == 0o555
    assert (into / "export/Servo").stat().st_mode & 0o7777 == 0o555
    unpack.remove(into)
    assert not into.exists()


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_every_common_tar_format_unpacks(archives: Any, into: Path, tar_format: int) -> None:
    """GNU tar, macOS's bsdtar and Python write different formats."""
    long_name = "/".join(["folder" * 4] * 8) + "/saved_model.pb"
    archive = archives.tar((archives.entry(long_name), b"model"), tar_format=tar_format)

    run(gzip.compress(archive), into)

    assert (into / long_name).read_bytes() == b"model"


def test_concatenated_gzip_members_unpack(archives: Any, into: Path) -> None:
    """Parallel compressors write an archive in several gzip members."""
    tar = archives.tar((archives.entry("a"), b"x" * 5000))

    run(gzip.compress(tar[:700]) + gzip.compress(tar[700:]), into)

    assert (into / "a").read_bytes() == b"x" * 5000


def test_a_later_member_of_the_same_name_wins(archives: Any, into: Path) -> None:
    """As `tar --append` promises; the first one's other name keeps the first one's content."""
    archive = archives.tar(
        (archives.entry("a"), b"first"),
        (archives.entry("b", tarfile.LNKTYPE, "a"), b""),
        (archives.entry("a"), b"second"),
    )

    run(gzip.compress(archive), into)

    assert ((into / "a").read_bytes(), (into / "b").read_bytes()) == (b"second", b"first")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("/tmp/evil", tarfile.REGTYPE, "")], "/tmp/evil is an absolute path"),
        ([("../evil", tarfile.REGTYPE, "")], r"\.\./evil leads out of its folder"),
        ([("a/../../evil", tarfile.REGTYPE, "")], "leads out of its folder"),
        ([("l", tarfile.SYMTYPE, "/etc")], "leads to an absolute path"),
        ([("l", tarfile.SYMTYPE, ".."), ("l/evil", tarfile.REGTYPE, "")], "lies behind a link"),
        ([("l", tarfile.SYMTYPE, "../outside")], "leads out of its folder"),
        ([("l", tarfile.LNKTYPE, "/etc/passwd")], "/etc/passwd is an absolute path"),
        ([("l", tarfile.LNKTYPE, "../../evil")], "leads out of its folder"),
        ([("dev", tarfile.CHRTYPE, "")], "neither a file nor a folder nor a link"),
        ([("dev", tarfile.BLKTYPE, "")], "neither a file nor a folder nor a link"),
        ([("pipe", tarfile.FIFOTYPE, "")], "neither a file nor a folder nor a link"),
        ([("n" * 300, tarfile.REGTYPE, "")], "part longer than 255 bytes"),
        ([("n/" * 600 + "n", tarfile.REGTYPE, "")], "longer than 1,024 bytes"),
        ([("d", tarfile.DIRTYPE, "")], "it holds no file"),
    ],
)
def test_an_evil_archive_is_refused_and_nothing_escapes(
    archives: Any, into: Path, members: list[tuple[str, bytes, str]], reason: str
) -> None:
    """Whatever an upload holds, it writes nowhere but into its own folder."""
    contents = {tarfile.REGTYPE: b"evil"}
    archive = gzip.compress(
        archives.tar(*((archives.entry(*each), contents.get(each[1], b"")) for each in members))
    )

    with pytest.raises(UnpackError, match=reason):
        run(archive, into)

    assert {path for path in listing(into.parent) if not path.startswith("inside")} == set()
    assert not Path("/tmp/evil").exists()


def test_a_hard_link_cannot_reach_through_a_link(archives: Any, into: Path) -> None:
    """The classic pair: link out, then link hard to what it leads to."""
    (into.parent / "secret").write_text("secret")
    archive = archives.tar(
        (archives.entry("out", tarfile.SYMTYPE, ".."), b""),
        (archives.entry("stolen", tarfile.LNKTYPE, "out/secret"), b""),
    )

    with pytest.raises(UnpackError, match="is no earlier file"):
        run(gzip.compress(archive), into)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"a model, really", "it is not a tar.gz"),
        (b"\x1f\x8b", "cut off or damaged"),
        (b"\x1f\x8bnonsense", "damaged"),
        (b"PK\x03\x04zip", "it is a zip"),
        (gzip.compress(b"", mtime=0), "damaged, or not a tar.gz"),
        (gzip.compress(b"not a tar at all" * 100, mtime=0), "damaged, or not a tar.gz"),
        (gzip.compress(bytes(10240), mtime=0), "it holds no file"),
    ],
)
def test_what_is_no_archive_is_named(into: Path, body: bytes, reason: str) -> None:
    """A person who uploaded the wrong file reads what it is instead."""
    with pytest.raises(UnpackError, match=reason):
        run(body, into)


def test_a_tar_without_gzip_says_how_to_make_it_right(archives: Any, into: Path) -> None:
    """The commonest mistake gets the command that mends it."""
    with pytest.raises(UnpackError, match="make it with `tar czf`"):
        run(archives.tar((archives.entry("a"), b"x")), into)


def test_an_archive_cut_anywhere_is_refused(archives: Any, into: Path) -> None:
    """A broken upload never becomes half a model."""
    archive = archives.tar_gz({"a": os.urandom(2000), "b": os.urandom(2000)})

    for length in range(0, len(archive), 97):
        with pytest.raises(UnpackError):
            run(archive[:length], into)


def test_a_damaged_byte_is_noticed(archives: Any, into: Path) -> None:
    """Gzip's checksum is read to the end, after the tar's own end too."""
    archive = bytearray(archives.tar_gz({"a": b"x" * 2000}))
    archive[-6] ^= 1  # the CRC

    with pytest.raises(UnpackError, match="damaged"):
        run(bytes(archive), into)


def test_a_damaged_header_does_not_end_the_archive_quietly(archives: Any, into: Path) -> None:
    """Python's tarfile takes a bad header for the end: a model would lose its last files."""
    tar = bytearray(archives.tar((archives.entry("a"), b"x"), (archives.entry("b"), b"y")))
    tar[1024] ^= 1  # the second header's name, so its checksum

    with pytest.raises(UnpackError, match="bad checksum"):
        run(gzip.compress(tar), into)


def test_a_bomb_stops_at_the_limit(archives: Any, into: Path) -> None:
    """A megabyte that claims to be a gigabyte costs neither the disk nor the memory."""
    bomb = archives.tar_gz({"zeros": bytes(20_000_000)})
    assert len(bomb) < 50_000

    tracemalloc.start()
    with pytest.raises(UnpackError, match="unpacks to more than 1,000,000 bytes"):
        run(bomb, into)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert sum(path.stat().st_size for path in into.rglob("*")) == 0
    assert peak_bytes < 10_000_000


def test_a_bomb_behind_the_archives_end_stops_too(archives: Any, into: Path) -> None:
    """What follows the tar's end is unzipped for its checksum, but not for ever."""
    tar = archives.tar((archives.entry("a"), b"x"))

    with pytest.raises(UnpackError, match="unpacks to more than"):
        run(gzip.compress(tar + bytes(20_000_000)), into)


def test_a_header_that_claims_gigabytes_is_not_read(archives: Any, into: Path) -> None:
    """A long-name header is read into memory whole, so it may not be long."""
    header = archives.entry("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    header.size = 900_000
    tar = header.tobuf(tarfile.GNU_FORMAT) + bytes(900_096)

    with pytest.raises(UnpackError, match="unreasonable size"):
        run(gzip.compress(tar), into)


def test_a_negative_size_does_not_loop(archives: Any, into: Path) -> None:
    """CVE-2025-8194: Debian 12's Python read such an archive for ever."""
    header = archives.entry("a", b"g")
    header.size = -512
    tar = bytearray(header.tobuf(tarfile.GNU_FORMAT)) + bytes(1024)

    with pytest.raises(UnpackError, match="damaged"):
        run(gzip.compress(tar), into)


def test_too_many_members_are_refused(archives: Any, into: Path) -> None:
    """An archive of a million empty files would fill the disk's index."""
    with pytest.raises(UnpackError, match="more than 100 files"):
        run(archives.tar_gz({f"f{index}": b"" for index in range(101)}), into)


def test_a_sparse_file_is_refused(archives: Any, into: Path) -> None:
    """A sparse file claims gigabytes in a few bytes."""
    header = archives.entry("sparse", tarfile.GNUTYPE_SPARSE)

    with pytest.raises(UnpackError, match="sparse"):
        run(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)), into)


def test_names_that_are_no_utf8_unpack(archives: Any, into: Path) -> None:
    """Archives from old systems keep their names' bytes."""
    name = os.fsdecode(b"caf\xe9.txt")
    tar = archives.tar((archives.entry(name), b"x"), tar_format=tarfile.GNU_FORMAT)

    run(gzip.compress(tar), into)

    assert [os.fsencode(path.name) for path in into.iterdir()] == [b"caf\xe9.txt"]


@pytest.mark.slow
@given(st.data())
def test_no_damage_does_worse_than_a_refusal(
    archives: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever bytes an archive is made of, the answer is a reason, and nothing escapes."""
    folder = tmp_path_factory.getbasetemp() / f"fuzz{next(_FRESH)}" / "inside"
    folder.mkdir(parents=True)
    tar = bytearray(
        archives.tar(
            (archives.entry("x" * 120 + "/a"), b"data" * 200),
            (archives.entry("link", tarfile.SYMTYPE, "x"), b""),
            (archives.entry("../b"), b""),
            tar_format=data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])),
        )
    )
    block_count = len(tar) // 512
    for _ in range(data.draw(st.integers(1, 4))):
        block = 512 * data.draw(st.integers(0, block_count - 1))
        position = block + data.draw(st.integers(0, 511))
        tar[position] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            # Mend the checksum, so that the damage reaches the fields behind it.
            tar[block + 148 : block + 156] = b" " * 8
            tar[block + 148 : block + 156] = b"%06o\0 " % sum(tar[block : block + 512])

    try:
        run(gzip.compress(tar, 1), folder)
    except (UnpackError, OSError):
        pass

    assert list(folder.parent.iterdir()) == [folder]
    unpack.remove(folder)
