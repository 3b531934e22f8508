"""Processes that a run starts and ends: each in its own group, its output in a log file."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAST_WORDS = 3000


@dataclass
class Service:
    """A process of ours that serves until it is stopped."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return once *ready* says so.

        Raises:
            RuntimeError: the process ended or took longer than *seconds*; with its last words.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            ended = self.process.poll()
            if ended is not None or time.monotonic() > deadline:
                state = "is not ready" if ended is None else f"ended with {ended}"
                words = self.log.read_text(errors="replace")[-_LAST_WORDS:]
                raise RuntimeError(f"{self.name} {state}; its log {self.log} ends:\n{words}")
            time.sleep(0.05)


@contextlib.contextmanager
def service(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[Service]:
    """Run *command* until the block ends, then end its process group and nothing else.

    Args:
        name: for messages and for the log, `<name>.log` in *folder*.
        command: program and arguments.
        folder: where it runs and logs.
        environment: all of its environment; nothing is inherited.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            # The kernel ends it when this process is killed and can tidy nothing.
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Service(name, process, log)
    finally:
        # The group and not the process: an emulator's functions are its children. Killed, because
        # its state is thrown away.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def process_ids(folder: Path) -> set[int]:
    """Return the processes whose command line names *folder*: all that a run starts does."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found - {os.getpid()}
