"""Network namespaces without a name, which end with the process that made them."""

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

CLONE_NEWNET = 0x40000000


class NetworkNamespace:
    """A fresh network namespace, and a thread that lives in it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._descriptor = self._thread.submit(_enter_a_new_namespace).result()
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        self.ip("link set lo up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        os.close(self._descriptor)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call *function* inside; a socket that it makes stays there."""
        return self._thread.submit(function, *args).result(timeout=60)

    def run(self, *command: str, stdin: str = "") -> str:
        """Run *command* inside and return what it prints."""

        def inside() -> str:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, timeout=30, check=False
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"
            return done.stdout

        return self.call(inside)

    def ip(self, *lines: str) -> None:
        """Run iproute2 commands, one a line."""
        self.run("ip", "-batch", "-", stdin="\n".join(lines))

    def sysctl(self, key: str, value: str) -> None:
        """Set a kernel setting of this namespace; /proc/sys/net shows the caller's own."""

        def inside() -> None:
            with open(f"/proc/sys/{key}", "w", encoding="ascii") as setting:  # noqa: PTH123
                setting.write(value)

        self.call(inside)


def _enter_a_new_namespace() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
