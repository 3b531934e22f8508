"""A thousand accounts: what is written, how long it takes, how much memory."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

from tests.support.binder import TWO, account, run

if TYPE_CHECKING:
    from tests.support.rehearsed import Rehearsed

COUNT = 1000


def test_writes_a_thousand_accounts_once_and_then_only_what_changes(cluster: Rehearsed) -> None:
    namespaces = [cluster.namespace("scale") for _ in range(4)]
    keys = [f"{namespaces[n % 4]}/account-{n}" for n in range(COUNT)]
    asked = {k: v for key in keys for k, v in account(key).items()}
    changed = {**asked, **account(keys[7], role=TWO)}

    start, began = cluster.audit_position(), time.monotonic()
    run(cluster.connection, "Create", asked, seconds=840)
    created = time.monotonic() - began
    assert len(cluster.writes(start)) == COUNT

    start, began = cluster.audit_position(), time.monotonic()
    answer = run(cluster.connection, "Update", asked, asked, seconds=840)
    again = time.monotonic() - began
    assert cluster.writes(start) == []
    assert answer.data["Bound"] == "1000"

    start = cluster.audit_position()
    run(cluster.connection, "Update", changed, asked, seconds=840)
    assert cluster.writes(start) == [("patch", "serviceaccounts", "account-7")]

    start, began = cluster.audit_position(), time.monotonic()
    run(cluster.connection, "Delete", changed, seconds=840)
    deleted = time.monotonic() - began
    assert len(cluster.writes(start)) == COUNT
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = f"create {created:.1f} s, again {again:.1f} s, delete {deleted:.1f} s"
    print(f"{COUNT} accounts: {figures}, {megabytes:.0f} MB")  # noqa: T201 - shown by -rP
    assert max(created, again, deleted) < 120
