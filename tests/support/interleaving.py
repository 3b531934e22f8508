"""Several events of one custom resource at once, in an order that a seed decides.

Each event runs in a thread of its own, one at a time, on a clock that only they move: a request
takes as long as the seed says, a wait as long as the code says. So a rollout of minutes takes no
time, and a seed that fails fails again.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Killed(BaseException):
    """Lambda stopped the function."""


class Clock:
    """Time as `time.monotonic` and `time.sleep` tell it, moved by the workers of a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def monotonic(self) -> float:
        """Seconds since the stage began."""
        return self._stage.now

    def sleep(self, seconds: float) -> None:
        """Let others work meanwhile."""
        self._stage.let_pass(seconds)


class _Worker:
    def __init__(self, work: Callable[[], object], killed_after: int | None) -> None:
        self.work = work
        self.turn = threading.Event()
        self.left = killed_after


class Stage:
    """Lets workers work, one at a time, each when its time has come."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - to be repeated
        self.now = 0.0
        self.clock = Clock(self)
        self.broken: list[BaseException] = []
        self._waiting: list[tuple[float, int, _Worker]] = []
        self._count = itertools.count()
        self._idle = threading.Event()
        self._at_work: _Worker | None = None

    def begin(
        self, work: Callable[[], object], after: float = 0.0, killed_after: int | None = None
    ) -> None:
        """Let a worker begin after a time.

        Args:
            work: What it does; whatever it raises is kept, unless it was killed.
            after: Seconds from now.
            killed_after: How often it may wait, or ask, before it is killed. Default: never.
        """
        worker = _Worker(work, killed_after)
        threading.Thread(target=self._run, args=(worker,), daemon=True).start()
        self._push(worker, after)

    def play(self) -> None:
        """Go on until all have ended."""
        while self._waiting:
            self.now, _, worker = heapq.heappop(self._waiting)
            self._idle.clear()
            self._at_work = worker
            worker.turn.set()
            self._idle.wait()
        self._at_work = None

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the worker that works now; nothing passes for who only looks on."""
        worker = self._at_work
        if worker is None:
            return
        if worker.left is not None:
            worker.left -= 1
            if worker.left < 0:
                raise Killed
        self._push(worker, seconds)
        worker.turn.clear()
        self._idle.set()
        worker.turn.wait()

    def _push(self, worker: _Worker, seconds: float) -> None:
        heapq.heappush(self._waiting, (self.now + seconds, next(self._count), worker))

    def _run(self, worker: _Worker) -> None:
        worker.turn.wait()
        try:
            worker.work()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.broken.append(error)
        finally:
            self._idle.set()
