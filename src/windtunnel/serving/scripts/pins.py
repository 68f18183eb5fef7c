"""What pip is to install beside what is there already.

pip's own `--target` would bring everything anew, numpy and its like too, in versions that the
models' process does not have. So pip is asked first what is missing (`--dry-run --report`), and
then for exactly that. Pure: a report and the text of a requirements.txt in, another text out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

# Lines of a requirements.txt that say where packages come from (pip's page "Requirements File
# Format"); what they apply to is decided by then.
_SOURCES = (
    "-i ",
    "-f ",
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--no-index",
    "--pre",
    "--trusted-host",
)


def render_pins(report: Mapping[str, Any], requirements: str) -> tuple[str, ...]:
    """Return the lines that have pip install what its report names, and nothing else.

    None at all when everything is there already.
    """
    pins = [_render_pin(item) for item in report["install"]]
    if not pins:
        return ()
    lines = map(str.strip, requirements.splitlines())
    return (*(line for line in lines if line.startswith(_SOURCES)), *pins)


def _render_pin(item: Mapping[str, Any]) -> str:
    name, version = item["metadata"]["name"], item["metadata"]["version"]
    if not item["is_direct"]:
        return f"{name}=={version}"
    download = item["download_info"]
    vcs = download.get("vcs_info")
    if vcs is None:
        return f"{name} @ {download['url']}"
    return f"{name} @ {vcs['vcs']}+{download['url']}@{vcs['commit_id']}"


def quote_failure(lines: Sequence[str]) -> str:
    """Return the last lines of what pip said: its errors, or else its last words."""
    said = [line for line in lines if line.strip() and not line.startswith("[notice]")]
    errors = [line for line in said if line.startswith("ERROR:")]
    return " ".join((errors or said)[-3:])
