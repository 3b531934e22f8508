"""A part of a deadline: what one step may take, or all but what is kept for undoing it."""

from __future__ import annotations

import time

from custom_resource import Deadline, OutOfTime


class DeadlinePart(Deadline):
    """Ends with its own time or with the whole, whichever comes first."""

    def __init__(self, whole: Deadline, seconds: float) -> None:
        left = whole.remaining()
        super().__init__(min(seconds, left))
        # Whether the whole ends first: more time for the part would change nothing.
        self.is_cut_short = left < seconds
        self._whole = whole
        self._part_end = time.monotonic() + self.seconds

    @classmethod
    def keeping(cls, whole: Deadline, seconds: float) -> DeadlinePart:
        """All of a deadline but its last seconds, or a quarter of it when that is less."""
        left = whole.remaining()
        return cls(whole, left - min(seconds, left / 4))

    def remaining(self) -> float:
        """Seconds that are left, always above zero.

        Raises:
            OutOfTime: The part, or the whole, has passed.
        """
        left = min(self._whole.remaining(), self._part_end - time.monotonic())
        if left <= 0:
            raise OutOfTime(f"this step must end within {self.seconds:.0f} s and did not")
        return left
