"""A function that is killed: nothing of it runs any more, not even what undoes its work."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from kubernetes_api.connection import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


class Killed(BaseException):
    """Lambda stopped the function."""


@contextlib.contextmanager
def killed_at(write: int) -> Iterator[None]:
    """Kill the function when it is about to send its n-th write, counted from 0."""
    original, sent = Api.request, 0

    def request(self: Api, method: str, path: str, *args: Any, **named: Any) -> Any:
        nonlocal sent
        if method in WRITES:
            if sent == write:
                raise Killed
            sent += 1
        return original(self, method, path, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Api, "request", request)
        with contextlib.suppress(Killed):
            yield
