"""What an archive may claim, on paper."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.core.archive.contents import (
    ArchiveLimits,
    Contents,
    Kind,
    Member,
    UnpackError,
    show,
    split_name,
)

NAMES = st.sampled_from(["a", "b", "a/b", "a/c", "b/a", "b/c/d", "./a", "c"])
TARGETS = st.lists(st.sampled_from(["a", "b", "c", "d", "..", ".", ""]), min_size=1, max_size=6)


def admit_all(*members: Member, limits: ArchiveLimits | None = None) -> Contents:
    contents = Contents(limits or ArchiveLimits())
    for member in members:
        contents.admit(member)
    contents.check_links()
    return contents


def file(name: str, size_bytes: int = 1) -> Member:
    return Member(name, "file", size_bytes)


def link(name: str, target: str) -> Member:
    return Member(name, "symlink", link_target=target)


def hard(name: str, target: str) -> Member:
    return Member(name, "hardlink", link_target=target)


def test_a_saved_model_passes() -> None:
    """What users really upload goes through, with every way of writing a folder's name."""
    contents = admit_all(
        Member("./", "directory"),
        Member("./export/Servo/1", "directory"),
        file("./export/Servo/1/saved_model.pb", 100),
        file("export//Servo/1/variables/variables.index", 23),
        link("export/Servo/latest", "1"),
        hard("copy.pb", "export/Servo/1/saved_model.pb"),
    )

    assert contents.size_bytes == 123
    assert ("export", "Servo", "1", "saved_model.pb") in contents.files
    assert ("export", "Servo", "1", "variables") in contents.directories


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([file("/etc/passwd")], "/etc/passwd is an absolute path"),
        ([file("../up")], "../up leads out of its folder"),
        ([file("a/../../up")], "leads out of its folder"),
        # Harmless where it ends, but no archiver writes it.
        ([file("a/../b")], "leads out of its folder"),
        ([file("n" * 1025)], "longer than 1,024 bytes"),
        ([file("ü" * 128)], "part longer than 255 bytes"),
        ([file("a\0b")], "zero byte"),
        ([file("a"), file("a/b")], "a/b lies inside a file"),
        ([link("a", "b"), file("a/c")], "a/c lies behind a link"),
        ([Member("b", "directory"), link("a", "b"), hard("a/x", "b/y")], "behind a link"),
        ([file("a"), Member("a", "directory")], "appears twice"),
        ([file("a/b"), file("a")], "appears twice"),
        ([link("a", "b"), file("a")], "appears twice"),
        ([file(".")], "appears twice"),
        ([Member("dev", "other")], "dev is neither a file nor a folder nor a link"),
        ([link("a", "/etc")], "the link a -> /etc leads to an absolute path"),
        ([link("a", "..")], "the link a -> .. leads out of its folder"),
        ([link("a/b", "../../x")], "leads out of its folder"),
        ([link("a", "b/../..")], "leads out of its folder"),
        # The folder that `..` leaves is the one behind the link.
        ([link("a/b/c", "../.."), link("d", "a/b/c/..")], "leads out of its folder"),
        ([link("a", "b"), link("b", "a")], "leads in circles"),
        ([link("a", "")], "a link to no possible name"),
        ([link("a", "b\0c")], "a link to no possible name"),
        ([link("a", "n" * 1025)], "a link to no possible name"),
        ([hard("a", "/etc/passwd")], "/etc/passwd is an absolute path"),
        ([hard("a", "../x")], "../x leads out of its folder"),
        ([hard("a", "b")], "a hard link to b, which is no earlier file"),
        ([link("b", "c"), hard("a", "b")], "a hard link to b, which is no earlier file"),
        ([file("a", -1)], "unpacks to more than"),
    ],
)
def test_what_an_archive_may_not_hold(members: list[Member], reason: str) -> None:
    """Each refusal names the member and what is wrong with it."""
    with pytest.raises(UnpackError, match=reason.replace("(", r"\(")):
        admit_all(*members)


def test_limits_count_everything_so_far() -> None:
    """A bomb of many small parts is stopped like one big one."""
    small = ArchiveLimits(unpacked_bytes_max=10, member_count_max=3, link_count_max=1)

    admit_all(file("a", 5), file("b", 5), link("c", "a"), limits=small)

    with pytest.raises(UnpackError, match="more than 10 bytes"):
        admit_all(file("a", 5), file("b", 6), limits=small)
    with pytest.raises(UnpackError, match="more than 3 files and folders"):
        admit_all(*(Member(name, "directory") for name in "abcd"), limits=small)
    with pytest.raises(UnpackError, match="more than 1 links"):
        admit_all(link("a", "x"), link("b", "x"), limits=small)


@pytest.mark.slow
@given(st.lists(st.tuples(NAMES, TARGETS), max_size=6))
def test_links_are_followed_as_the_kernel_follows_them(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, list[str]]]
) -> None:
    """Where paper says inside, the real file system never leads out."""
    contents = Contents()
    for name, parts in links:
        try:
            contents.admit(link(name, "/".join(parts).lstrip("/") or "."))
        except UnpackError:
            continue
    try:
        contents.check_links()
    except UnpackError:
        return
    outside = tmp_path_factory.mktemp("links")
    inside = outside / "in"
    inside.mkdir()
    # Every folder a target could pass exists, unless a link is there.
    for path in itertools.product("abcd", repeat=3):
        folder = inside
        for part in path:
            folder /= part
            if tuple(folder.relative_to(inside).parts) in contents.links:
                break
            folder.mkdir(exist_ok=True)
    for path, target in contents.links.items():
        inside.joinpath(*path).symlink_to(target)

    for path in contents.links:
        real = Path(os.path.realpath(inside.joinpath(*path)))
        assert real == inside or inside in real.parents


@given(st.text(max_size=50))
def test_a_name_is_inside_or_refused(name: str) -> None:
    """No spelling of a name leads anywhere else."""
    try:
        parts = split_name(name)
    except (UnpackError, UnicodeEncodeError):
        return

    joined = os.path.normpath("/".join(["/in", *parts]))
    assert joined == "/in" or joined.startswith("/in/")


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "hardlink"])
def test_a_later_member_replaces_an_earlier_one_of_its_kind(kind: Kind) -> None:
    """`tar --append` writes such archives."""
    member = Member("b", kind, link_target="a")

    admit_all(file("a"), member, member)


def test_names_from_an_archive_can_stand_in_a_message() -> None:
    """A FailureReason is JSON that people read: no control characters, no half characters."""
    name = os.fsdecode(b"a\x1b[31m\xff") + "x" * 500

    shown = show(name)

    assert shown.startswith("a\\x1b[31m\\xdcff")
    assert len(shown) < 200
    shown.encode()
