"""How long a load lasts, and which part of it counts: the same for every kind of schedule."""

from windtunnel.lab.quantities import format_duration


class Span:
    """What a schedule says of its length; the schedule itself holds the two."""

    warmup_s: float
    duration_s: float

    @property
    def total_s(self) -> float:
        """How long requests are sent, those that are not counted included."""
        return self.warmup_s + self.duration_s

    def span_in_words(self) -> str:
        """Return this as a person reads it."""
        length = format_duration(self.duration_s)
        if not self.warmup_s:
            return f"for {length}"
        return f"{format_duration(self.warmup_s)} of warm-up that is not counted, then {length}"
