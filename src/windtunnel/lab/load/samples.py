"""What was measured, as flat columns: one row a request, 35 bytes, no objects.

Recording a request is six appends to arrays, so that measuring stays cheaper than sending. Times
are of the process's monotonic clock; whoever reads them is told where the run's start lies on it.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from windtunnel.core import limits
from windtunnel.lab.load.failures import Failure

# Column by column: its name and its array type code (double, unsigned 16-bit, signed 64-bit).
COLUMNS = (
    ("due_s", "d"),
    ("sent_s", "d"),
    ("done_s", "d"),
    ("status", "H"),
    ("bytes", "q"),
    ("error", "H"),
)
_OTHER = "other kinds of error"


@dataclass
class FailureKinds:
    """The kinds of error of one process, numbered from 1; 0 is none."""

    numbers: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def number(self, failure: Failure) -> int:
        """Return a kind's number; what is one kind too many joins the others."""
        kind = failure.kind
        if kind not in self.numbers and len(self.numbers) >= limits.LOAD_ERROR_KINDS_MAX:
            kind = _OTHER
        if kind not in self.numbers:
            self.numbers[kind] = len(self.numbers) + 1
            self.examples[kind] = failure.message
        return self.numbers[kind]


class Samples:
    """The requests that one load process sent."""

    def __init__(self) -> None:
        self.due_s = array("d")
        self.sent_s = array("d")
        self.done_s = array("d")
        self.status = array("H")
        self.bytes = array("q")
        self.error = array("H")
        self.kinds = FailureKinds()

    def __len__(self) -> int:
        return len(self.due_s)

    @property
    def is_full(self) -> bool:
        """Say whether no more can be kept."""
        return len(self.due_s) >= limits.LOAD_REQUEST_COUNT_MAX

    def record(
        self, due_s: float, sent_s: float, done_s: float, status: int, size: int, error: int
    ) -> None:
        """Keep one request."""
        self.due_s.append(due_s)
        self.sent_s.append(sent_s)
        self.done_s.append(done_s)
        self.status.append(status)
        self.bytes.append(size)
        self.error.append(error)

    def chunks(self) -> Iterator[dict[str, bytes]]:
        """Yield the columns in pieces that fit a message between processes."""
        step = limits.LOAD_CHUNK_REQUEST_COUNT
        for first in range(0, len(self), step):
            yield {name: getattr(self, name)[first : first + step].tobytes() for name, _ in COLUMNS}
