"""What of a script an archive holds, by its paths alone.

The original starts its Python service where there is `code/inference.py`, `code/requirements.txt`
or `code/lib` (serve.py, _need_python_service): without the first, a handler of its own passes
bodies on as they are. `code/lib` is on the path and has requirements.txt ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

CODE = PurePosixPath("code")
INFERENCE = CODE / "inference.py"
REQUIREMENTS = CODE / "requirements.txt"
LIBRARY = CODE / "lib"


@dataclass(frozen=True, slots=True)
class Script:
    """The parts of a script that are there."""

    has_inference: bool
    has_requirements: bool
    has_library: bool

    @property
    def notices(self) -> tuple[str, ...]:
        """One sentence for each part that changes nothing."""
        if self.has_requirements and self.has_library:
            return (f"{REQUIREMENTS} has no effect: {LIBRARY} holds what the script needs.",)
        return ()

    @property
    def is_to_be_installed(self) -> bool:
        """Whether requirements.txt counts."""
        return self.has_requirements and not self.has_library


def choose_script(paths: Iterable[PurePosixPath]) -> Script | None:
    """Return what of a script is among these files; None where the models answer by themselves."""
    found = set(paths)
    script = Script(
        has_inference=INFERENCE in found,
        has_requirements=REQUIREMENTS in found,
        has_library=any(LIBRARY in path.parents for path in found),
    )
    is_any = script.has_inference or script.has_requirements or script.has_library
    return script if is_any else None
