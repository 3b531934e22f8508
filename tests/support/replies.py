"""What an API server answers that refuses, or is not itself."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class Reply:
    """What is answered."""

    status: int
    body: dict[str, Any] | str
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


def refusal(status: int, reason: str, message: str, **headers: str) -> Reply:
    """A Status object, as the API server refuses with."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    return Reply(status, body, headers)
