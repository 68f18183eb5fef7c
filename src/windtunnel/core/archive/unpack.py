"""Unpack one .tar.gz from a stream into a folder, or say what is wrong with it.

Every member passes `contents.Contents` first. Python's own extraction filters are not relied on:
they came with 3.11.4, Debian 12 has 3.11.2, and holes were found in them later. What is written is
read-only: what is unpacked once may serve many, as instances of any endpoint share a model.
"""

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO

from windtunnel.core import limits
from windtunnel.core.archive.contents import (
    ArchiveLimits,
    Contents,
    Kind,
    Member,
    UnpackError,
    split_name,
)

_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"
_TAR_MAGIC = b"ustar"
_TAR_MAGIC_OFFSET = 257
_COPY_BYTES = 1024 * 1024
# tarfile's own buffer; a multiple of the 512 bytes of a block.
_BUFFER_BYTES = 256 * 1024
_EXTENDED_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _Header(tarfile.TarInfo):
    """A header block that is damaged, or that would have much read into memory, is an error.

    tarfile takes a damaged header for the archive's end, and reads an extended header whole,
    however large it claims to be (3.11.2 even loops on a negative size, CVE-2025-8194).
    """

    @classmethod
    def frombuf(cls, buf: "bytes | bytearray", encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from None
        if header.size < 0:
            raise tarfile.ReadError("negative size")
        if header.type in _EXTENDED_HEADERS and header.size > limits.ARCHIVE_HEADER_BYTES_MAX:
            raise tarfile.ReadError("an extended header of unreasonable size")
        return header


class _Unpacked:
    """The unzipped stream, which ends with an error where the limit is passed."""

    def __init__(self, stream: gzip.GzipFile, bytes_max: int) -> None:
        self._stream = stream
        self._bytes_max = bytes_max
        self._count_bytes = 0

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._count_bytes += len(piece)
        if self._count_bytes > self._bytes_max:
            raise UnpackError(f"it unpacks to more than {self._bytes_max:,} bytes")
        return piece

    def drain(self) -> None:
        """Read on to the end, where gzip's checksum stands."""
        while self.read(_COPY_BYTES):
            pass


def unpack(stream: IO[bytes], into: Path, archive_limits: ArchiveLimits) -> Contents:
    """Unpack a stream of a tar.gz into an empty folder; return what it held.

    Raises `UnpackError` for every archive that is not whole and harmless; what was written
    until then is the caller's to remove.
    """
    try:
        with gzip.GzipFile(fileobj=stream) as unzipped:
            # Headers and padding count too: 1 KiB a member and tar's last 10 KiB at most.
            overhead_bytes = archive_limits.member_count_max * 1024 + 20 * 512
            bounded = _Unpacked(unzipped, archive_limits.unpacked_bytes_max + overhead_bytes)
            with tarfile.open(  # type: ignore[call-overload] # `read` is all that mode r| calls
                fileobj=bounded,
                mode="r|",
                tarinfo=_Header,
                bufsize=_BUFFER_BYTES,
            ) as archive:
                contents = _write_members(archive, into, archive_limits)
            bounded.drain()
    except (EOFError, zlib.error) as error:
        raise UnpackError(f"it is cut off or damaged ({error})") from error
    except (gzip.BadGzipFile, tarfile.TarError) as error:
        raise UnpackError(f"it is damaged, or not a tar.gz ({error})") from error
    except (ValueError, ArithmeticError, LookupError, RecursionError) as error:
        # What tarfile lets slip for headers made to confuse it.
        raise UnpackError(f"a header in it is damaged ({type(error).__name__})") from error
    if not contents.files:
        raise UnpackError("it holds no file")
    return contents


def _write_members(archive: tarfile.TarFile, into: Path, archive_limits: ArchiveLimits) -> Contents:
    contents = Contents(archive_limits)
    while (header := archive.next()) is not None:
        # tarfile remembers every member; a hundred thousand would be memory for nothing.
        archive.members = []  # type: ignore[attr-defined]
        member = _member(header)
        path = into.joinpath(*contents.admit(member))
        if member.kind == "directory":
            path.mkdir(parents=True, exist_ok=True)
        elif member.kind == "file":
            _write_file(archive, header, path)
        elif member.kind == "hardlink":
            # Admitted: the target is a file written before, below `into`.
            path.parent.mkdir(parents=True, exist_ok=True)
            target = into.joinpath(*split_name(member.link_target))
            if target != path:
                path.unlink(missing_ok=True)
                path.hardlink_to(target)
    contents.check_links()
    for link, target_text in contents.links.items():
        path = into.joinpath(*link)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target_text)
    return contents


def _member(header: tarfile.TarInfo) -> Member:
    kind: Kind = "other"
    if header.isreg() and not header.issparse():
        kind = "file"
    elif header.isdir():
        kind = "directory"
    elif header.issym():
        kind = "symlink"
    elif header.islnk():
        kind = "hardlink"
    return Member(header.name, kind, header.size, header.linkname)


def _write_file(archive: tarfile.TarFile, header: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A second member of the same name: the first one's content may have other names by now.
    path.unlink(missing_ok=True)
    content = archive.extractfile(header)
    assert content is not None
    mode = 0o555 if header.mode & 0o100 else 0o444
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with content, os.fdopen(descriptor, "wb") as file:
        left_bytes = header.size
        while left_bytes > 0:
            piece = content.read(min(left_bytes, _COPY_BYTES))
            if not piece:
                raise tarfile.ReadError("unexpected end of data")
            file.write(piece)
            left_bytes -= len(piece)


def seal(folder: Path) -> None:
    """Make every folder below read-only; the files already are."""
    for parent, _, _ in os.walk(folder, topdown=False):
        Path(parent).chmod(0o555)


def remove(folder: Path) -> None:
    """Delete a folder, sealed or not."""
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def check_kind(first: bytes) -> None:
    """Refuse what its first block shows to be no gzip, with the name of what it is."""
    if not first:
        raise UnpackError("it is empty")
    if first.startswith(_GZIP_MAGIC):
        return
    if first[_TAR_MAGIC_OFFSET:].startswith(_TAR_MAGIC):
        raise UnpackError("it is a tar, but not gzipped (make it with `tar czf`)")
    if first.startswith(_ZIP_MAGIC):
        raise UnpackError("it is a zip, not a tar.gz (make it with `tar czf`)")
    raise UnpackError("it is not a tar.gz")
