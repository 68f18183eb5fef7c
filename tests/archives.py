"""Unpacking the archives that tests made themselves."""

import inspect
import tarfile
from pathlib import Path


def unpack(archive: Path, directory: Path) -> None:
    """Unpack an archive of ours; Debian 12's Python 3.11.2 knows no filter, 3.12 wants one."""
    directory.mkdir(parents=True, exist_ok=True)
    filters = "filter" in inspect.signature(tarfile.TarFile.extractall).parameters
    with tarfile.open(archive) as tar:
        tar.extractall(directory, **({"filter": "data"} if filters else {}))  # type: ignore[arg-type]  # noqa: S202
