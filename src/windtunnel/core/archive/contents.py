"""What an archive may unpack to, decided before a byte of it is written.

An archive is somebody's upload. Its members may name no place outside its folder, by name or by
link, nothing that is not a file, a folder or a link, and no more of anything than its limits. The
checks are values in, reasons out; `unpack.py` does the reading and writing.

Rule: nothing is ever written through a link. Links are made last, when all of them are known, and
each is followed here, on paper, the way the kernel would.
"""

import os
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from windtunnel.core import limits

Kind = Literal["file", "directory", "symlink", "hardlink", "other"]
Path = tuple[str, ...]

# Linux follows at most 40 links in one path (path_resolution(7)).
_LINK_HOPS_MAX = 40
# The longest file name of every common file system (NAME_MAX).
_PART_BYTES_MAX = 255
_SHOWN_CHARACTERS_MAX = 120


class UnpackError(Exception):
    """What cannot be unpacked, with a reason that a person can act on: "it is …"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Member:
    """One entry of an archive, as its header claims it."""

    name: str
    kind: Kind
    size_bytes: int = 0
    link_target: str = ""


@dataclass(frozen=True)
class ArchiveLimits:
    """How much one archive may hold."""

    unpacked_bytes_max: int = limits.ARCHIVE_UNPACKED_BYTES_MAX
    member_count_max: int = limits.ARCHIVE_MEMBER_COUNT_MAX
    link_count_max: int = limits.ARCHIVE_LINK_COUNT_MAX


@dataclass
class Contents:
    """What an archive has claimed so far, and whether the next claim still holds."""

    limits: ArchiveLimits = field(default_factory=ArchiveLimits)
    size_bytes: int = 0
    member_count: int = 0
    files: set[Path] = field(default_factory=set)
    directories: set[Path] = field(default_factory=lambda: {()})
    links: dict[Path, str] = field(default_factory=dict)

    def admit(self, member: Member) -> Path:
        """Take up one more member; return where it belongs, or say why it cannot be."""
        self.member_count += 1
        if self.member_count > self.limits.member_count_max:
            raise UnpackError(
                f"it holds more than {self.limits.member_count_max:,} files and folders"
            )
        path = split_name(member.name)
        self._admit_parents(path, member.name)
        if member.kind == "directory":
            self._admit_place(path, member.name, self.directories)
            self.directories.add(path)
        elif member.kind == "file":
            self._admit_place(path, member.name, self.files)
            self._admit_size(member)
            self.files.add(path)
        elif member.kind == "hardlink":
            self._admit_place(path, member.name, self.files)
            self._admit_hard_link(member)
            self.files.add(path)
        elif member.kind == "symlink":
            self._admit_place(path, member.name, self.links)
            self._admit_link(member)
            self.links[path] = member.link_target
        else:
            raise UnpackError(
                f"{show(member.name)} is neither a file nor a folder nor a link "
                "(a device, a pipe or a sparse file)"
            )
        return path

    def check_links(self) -> None:
        """Follow every symbolic link; refuse the archive if one leads out of its folder."""
        for path, target in self.links.items():
            self._follow(path, target)

    def _admit_parents(self, path: Path, name: str) -> None:
        for depth in range(1, len(path)):
            parent = path[:depth]
            if parent in self.links:
                raise UnpackError(f"{show(name)} lies behind a link")
            if parent in self.files:
                raise UnpackError(f"{show(name)} lies inside a file")
            self.directories.add(parent)

    def _admit_place(self, path: Path, name: str, same_kind: "set[Path] | dict[Path, str]") -> None:
        # A later member replaces an earlier one of its kind, as in every tar.
        taken = path in self.files or path in self.directories or path in self.links
        if taken and path not in same_kind:
            raise UnpackError(f"{show(name)} appears twice, as different kinds of thing")

    def _admit_size(self, member: Member) -> None:
        self.size_bytes += member.size_bytes
        if member.size_bytes < 0 or self.size_bytes > self.limits.unpacked_bytes_max:
            raise UnpackError(f"it unpacks to more than {self.limits.unpacked_bytes_max:,} bytes")

    def _admit_hard_link(self, member: Member) -> None:
        if split_name(member.link_target) not in self.files:
            raise UnpackError(
                f"{show(member.name)} is a hard link to {show(member.link_target)}, "
                "which is no earlier file of the archive"
            )

    def _admit_link(self, member: Member) -> None:
        target = member.link_target
        length_bytes = len(os.fsencode(target))
        if not 0 < length_bytes <= limits.ARCHIVE_NAME_BYTES_MAX or "\0" in target:
            raise UnpackError(f"{show(member.name)} is a link to no possible name")
        if len(self.links) >= self.limits.link_count_max:
            raise UnpackError(f"it holds more than {self.limits.link_count_max:,} links")

    def _follow(self, path: Path, target: str) -> None:
        shown = f"the link {show('/'.join(path))} -> {show(target)}"
        here = list(path[:-1])
        todo = deque([target])
        hops = 0
        while todo:
            part = todo.popleft()
            if part.startswith("/"):
                raise UnpackError(f"{shown} leads to an absolute path")
            if "/" in part:
                todo.extendleft(reversed([piece for piece in part.split("/") if piece]))
            elif part == "..":
                if not here:
                    raise UnpackError(f"{shown} leads out of its folder")
                here.pop()
            elif part not in {"", "."}:
                here.append(part)
                if (onward := self.links.get(tuple(here))) is not None:
                    hops += 1
                    if hops > _LINK_HOPS_MAX:
                        raise UnpackError(f"{shown} leads in circles")
                    here.pop()
                    todo.appendleft(onward)


def split_name(name: str) -> Path:
    """Return a member's name as the folders and the file it names, all inside the archive."""
    if len(os.fsencode(name)) > limits.ARCHIVE_NAME_BYTES_MAX:
        raise UnpackError(
            f"the name {show(name)} is longer than {limits.ARCHIVE_NAME_BYTES_MAX:,} bytes"
        )
    if "\0" in name:
        raise UnpackError(f"the name {show(name)} holds a zero byte")
    if name.startswith("/"):
        raise UnpackError(f"{show(name)} is an absolute path")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise UnpackError(f"{show(name)} leads out of its folder")
    if any(len(os.fsencode(part)) > _PART_BYTES_MAX for part in parts):
        raise UnpackError(f"the name {show(name)} has a part longer than {_PART_BYTES_MAX} bytes")
    return parts


def show(name: str) -> str:
    """Return a name from an archive as it may stand in a message: printable, and not endless."""
    shown = "".join(
        character if character.isprintable() else f"\\x{ord(character):02x}"
        for character in name[:_SHOWN_CHARACTERS_MAX]
    )
    return f"{shown}…" if len(name) > _SHOWN_CHARACTERS_MAX else shown
