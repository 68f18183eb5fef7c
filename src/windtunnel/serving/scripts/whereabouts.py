"""Where in a script something happened: the file and line that its author can look up."""

import re
import traceback
from pathlib import Path
from types import FrameType, TracebackType

from windtunnel.core import limits

# Where SageMaker unpacks an archive, and many scripts look for what they brought.
_THERE = re.compile(r"/opt/ml/model\b")
# Where an archive is, by the name that it has where SageMaker trains; set for scripts here.
MODEL_DIR_VARIABLE = "SM_MODEL_DIR"


def locate(trace: TracebackType | None, directory: Path) -> str:
    """Return `code/inference.py:7` for the innermost place of a traceback below a directory."""
    return _innermost(traceback.extract_tb(trace), directory)


def locate_frame(frame: FrameType | None, directory: Path) -> str:
    """Return the same for what a thread is doing now."""
    return _innermost(traceback.extract_stack(frame), directory)


def _innermost(summary: traceback.StackSummary, directory: Path) -> str:
    for entry in reversed(summary):
        path = Path(entry.filename)
        if path.is_relative_to(directory):
            return f"{path.relative_to(directory)}:{entry.lineno}"
    return ""


def describe_error(error: BaseException, directory: Path) -> str:
    """Return an exception as the last line of its traceback, and where it was raised."""
    text = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError) and error.filename:
        path = Path(error.filename)
        is_ours = path.is_relative_to(directory)
        place = f"{path.relative_to(directory) if is_ours else path}:{error.lineno}"
    else:
        place = locate(error.__traceback__, directory)
    text = f"{text} ({place})" if place else text
    hint = hint_at_path(error, directory)
    return f"{text}; {hint}" if hint else text


def hint_at_path(error: BaseException, directory: Path) -> str:
    """Say where the archive is, to a script that looked for it where SageMaker has it."""
    return tell_model_dir(directory) if _THERE.search(str(error)) else ""


def names_model_dir(script: Path) -> bool:
    """Say whether a script spells out where SageMaker unpacks an archive, and only that."""
    with script.open(encoding="utf-8", errors="replace") as file:
        text = file.read(limits.SCRIPT_TEXT_LENGTH_MAX)
    return _THERE.search(text) is not None and MODEL_DIR_VARIABLE not in text


def tell_model_dir(directory: Path) -> str:
    """Say where that is here, and how to write a script that runs in both places."""
    return (
        f"SageMaker's /opt/ml/model is {directory.resolve()} here: a script that begins its paths"
        f" with os.path.dirname(__file__), or os.environ.get('{MODEL_DIR_VARIABLE}',"
        " '/opt/ml/model'), runs in both places"
    )
