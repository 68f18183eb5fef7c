"""Where in a script something happened: the file and line that its author can look up."""

import traceback
from pathlib import Path
from types import FrameType, TracebackType

# Where SageMaker unpacks an archive, and many scripts look for what they brought.
_THERE = "/opt/ml/model"


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
    if _THERE not in str(error):
        return ""
    return (
        f"SageMaker's {_THERE} is {directory} here: a script that begins its paths with"
        " os.path.dirname(__file__) runs in both places"
    )
