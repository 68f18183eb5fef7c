"""The unpacked model archives of a home: what stays when nobody uses it.

A folder is named by the digest of its archive. Only what no instance uses may go, so this runs when
`up` starts and has started none.
"""

from pathlib import Path

from windtunnel.cloud.fleet.fetch import INCOMING_PREFIX
from windtunnel.core.archive import unpack


def prune(models: Path, bytes_max: int) -> None:
    """Delete half-made folders, and the least recently used ones until the rest fits."""
    folders = []
    for path in models.iterdir():
        if path.name.startswith(INCOMING_PREFIX):
            unpack.remove(path)
        elif path.is_dir():
            folders.append(path)
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    used_bytes = 0
    for folder in folders:
        used_bytes += _size_bytes(folder)
        if used_bytes > bytes_max:
            unpack.remove(folder)


def _size_bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
