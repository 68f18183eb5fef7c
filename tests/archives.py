"""Archives that tests make, kind and evil, and unpacking them."""

import gzip
import inspect
import io
import tarfile
from pathlib import Path


def unpack(archive: Path, directory: Path) -> None:
    """Unpack an archive of ours; Debian 12's Python 3.11.2 knows no filter, 3.12 wants one."""
    directory.mkdir(parents=True, exist_ok=True)
    filters = "filter" in inspect.signature(tarfile.TarFile.extractall).parameters
    with tarfile.open(archive) as tar:
        tar.extractall(directory, **({"filter": "data"} if filters else {}))  # type: ignore[arg-type]  # noqa: S202


class Archives:
    """Makes archives, member by member, so that they may be as evil as a test needs."""

    @staticmethod
    def entry(
        name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
    ) -> tarfile.TarInfo:
        """Return a header of a tar."""
        header = tarfile.TarInfo(name)
        header.type = kind
        header.linkname = link
        header.mode = mode
        return header

    @staticmethod
    def tar(*members: tuple[tarfile.TarInfo, bytes], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
        """Return a tar of the given headers and contents."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
            for header, content in members:
                if header.isreg():
                    header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
        return buffer.getvalue()

    def tar_gz(self, files: dict[str, bytes]) -> bytes:
        """Return a tar.gz of plain files."""
        members = [(self.entry(name), content) for name, content in files.items()]
        return gzip.compress(self.tar(*members), mtime=0)
