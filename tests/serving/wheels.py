"""Packages for tests to install: wheels of one module, written by hand."""

import zipfile
from pathlib import Path


def write_wheel(directory: Path, name: str, version: str, text: str) -> None:
    """Write NAME-VERSION-py3-none-any.whl, whose module NAME is this text (PEP 427)."""
    directory.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": text,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    # No hashes: pip wants the list of the files, and no more.
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{about}/RECORD"))
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
