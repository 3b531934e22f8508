"""Who owns a service account, and what each event leaves of it: one table, each cell for real.

A cell says what CloudFormation hears, and the object after: its role, and who holds it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from custom_resource import Failure
from kubernetes_api.connection import APPLY_PATCH
from tests.support.binder import ONE, ROLE, TWO, account, run
from tests.support.rehearsed import account_path

if TYPE_CHECKING:
    from tests.support.rehearsed import Rehearsed

SIBLING, STRANGER = "Batch1", "arn:aws:cloudformation:eu-west-1:111122223333:stack/other/1"
FOREIGN, HAND = "arn:aws:iam::111122223333:role/foreign", "arn:aws:iam::111122223333:role/hand"
OWNER = "irsa-stack/owner"
MANAGED_BY = "app.kubernetes.io/managed-by"
_serial = itertools.count(1)

# What is found when the event comes. "ours" and what follows from it was bound to role one before.
STATES = (
    "absent",  # there never was an object
    "plain",  # made by `kubectl apply`, without a role
    "helm",  # made by Helm, without a role
    "argo",  # another manager owns another role, by server-side apply
    "ours",  # as this resource left it
    "hand",  # as this resource left it, then the role was changed by hand
    "taken",  # as this resource left it, then Helm took it over
    "gone",  # as this resource left it, then somebody deleted it
    "sibling",  # bound by another resource of the stack
    "stranger",  # bound by another stack
)
# create: asks for role one. same: role one again. change: role two. drop: no longer asked for.
# failed: create, then the delete that CloudFormation sends when the stack's creation failed.
# back: change, then the update that rolls it back.
EVENTS = ("create", "same", "change", "drop", "delete", "failed", "back")

TABLE = """
CREATE    absent     plain        helm         argo           ours       hand       taken           gone       sibling         stranger
create    ok:one/me  no:-/-       no:-/-       no:foreign/-   ok:one/me  ok:one/me  no:one/me       ok:one/me  ok:one/me       no:one/stranger
same      ok:one/me  ok:-/-       ok:-/-       ok:foreign/-   ok:one/me  ok:one/me  ok:one/me       ok:one/me  ok:one/me       ok:one/stranger
change    ok:two/me  no:-/-       no:-/-       no:foreign/-   ok:two/me  ok:two/me  no:one/me       ok:two/me  ok:two/me       no:one/stranger
drop      ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:absent  ok:absent  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
delete    ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:absent  ok:absent  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
failed    ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:absent  ok:absent  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
back      ok:one/me  no:-/-       no:-/-       no:foreign/-   ok:one/me  ok:one/me  ok:one/me       ok:one/me  ok:one/me       no:one/stranger

ADOPT     absent     plain        helm         argo           ours       hand       taken           gone       sibling         stranger
create    no:absent  ok:one/me    ok:one/me    no:foreign/-   ok:one/me  no:hand/me ok:one/me       no:absent  ok:one/me       no:one/stranger
same      ok:absent  ok:one/me    ok:one/me    ok:foreign/-   ok:one/me  ok:hand/me ok:one/me       ok:absent  ok:one/me       ok:one/stranger
change    ok:absent  ok:two/me    ok:two/me    no:foreign/-   ok:two/me  no:hand/me ok:two/me       ok:absent  ok:two/me       no:one/stranger
drop      ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:-/-     ok:hand/-  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
delete    ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:-/-     ok:hand/-  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
failed    ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:-/-     ok:hand/-  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
back      ok:absent  ok:one/me    ok:one/me    no:foreign/-   ok:one/me  no:hand/me ok:one/me       ok:absent  ok:one/me       no:one/stranger

FORCE     absent     plain        helm         argo           ours       hand       taken           gone       sibling         stranger
create    no:absent  ok:one/me    ok:one/me    ok:one/me      ok:one/me  ok:one/me  ok:one/me       no:absent  ok:one/me       ok:one/me
same      ok:absent  ok:one/me    ok:one/me    ok:one/me      ok:one/me  ok:one/me  ok:one/me       ok:absent  ok:one/me       ok:one/me
change    ok:absent  ok:two/me    ok:two/me    ok:two/me      ok:two/me  ok:two/me  ok:two/me       ok:absent  ok:two/me       ok:two/me
drop      ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:-/-     ok:hand/-  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
delete    ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:-/-     ok:hand/-  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
failed    ok:absent  ok:-/-       ok:-/-       ok:foreign/-   ok:-/-     ok:hand/-  ok:-/-          ok:absent  ok:one/sibling  ok:one/stranger
back      ok:absent  ok:one/me    ok:one/me    ok:one/me      ok:one/me  ok:one/me  ok:one/me       ok:absent  ok:one/me       ok:one/me
"""  # noqa: E501 - a table


def _cells() -> list[Any]:
    cells = []
    for block in TABLE.strip().split("\n\n"):
        (ownership, *states), *rows = (line.split() for line in block.splitlines())
        for event, *outcomes in rows:
            cells += [
                pytest.param(ownership, event, state, outcome, id=f"{ownership}-{event}-{state}")
                for state, outcome in zip(states, outcomes, strict=True)
            ]
    return cells


@pytest.mark.parametrize(("ownership", "event", "state", "outcome"), _cells())
def test_each_cell_ends_as_the_table_says(
    cluster: Rehearsed, ownership: str, event: str, state: str, outcome: str
) -> None:
    key = f"{_namespace(cluster)}/a{next(_serial)}"
    _prepare(cluster, key, state, ownership)
    before = cluster.account(key)

    said = _deploy(cluster, key, ownership, event)

    after = cluster.account(key)
    assert f"{said}:{_told(after)}" == outcome
    if before and not _made_by_us(ownership, state):
        assert after, "a service account that we did not make is never deleted"
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert _others(after) == _others(before)


def test_the_table_has_all_cells() -> None:
    assert len(_cells()) == 3 * len(EVENTS) * len(STATES)


def _namespace(cluster: Rehearsed) -> str:
    name = getattr(cluster.plane, "table_namespace", "")
    if not name:
        name = cluster.namespace("table")
        cluster.plane.table_namespace = name  # type: ignore[attr-defined]
    return name


def _prepare(cluster: Rehearsed, key: str, state: str, ownership: str) -> None:
    if state == "absent":
        return
    bound_before = state in ("ours", "hand", "taken", "gone")
    bound = state in ("sibling", "stranger") or bound_before
    if state in ("plain", "helm", "argo") or (bound and ownership != "CREATE"):
        _make(cluster, key, "helm" if state == "helm" else "kubectl-client-side-apply")
    if state == "argo":
        cluster.patch_account(key, {"annotations": {ROLE: FOREIGN}}, "argocd", APPLY_PATCH)
    if bound:
        _bind(
            cluster,
            "Create",
            _asked(key, "CREATE" if ownership == "CREATE" else "ADOPT", ONE),
            logical_id=SIBLING if state == "sibling" else "Batch0",
            **({"stack_id": STRANGER} if state == "stranger" else {}),
        )
    if state == "hand":
        cluster.patch_account(key, {"annotations": {ROLE: HAND}}, "kubectl-annotate")
    if state == "taken":
        release = {"meta.helm.sh/release-name": "api"}
        taken = {"labels": {MANAGED_BY: "Helm"}, "annotations": release}
        cluster.patch_account(key, taken, "helm")
    if state == "gone":
        found = cluster.account(key)
        assert found
        cluster.admin.delete(account_path(key), uid=found["metadata"]["uid"])


def _deploy(cluster: Rehearsed, key: str, ownership: str, event: str) -> str:
    one, two = _asked(key, ownership, ONE), _asked(key, ownership, TWO)
    try:
        match event:
            case "create":
                _bind(cluster, "Create", one)
            case "same":
                _bind(cluster, "Update", one, one)
            case "change":
                _bind(cluster, "Update", two, one)
            case "drop":
                _bind(cluster, "Update", {}, one)
            case "delete":
                _bind(cluster, "Delete", one)
            case "failed":
                with contextlib.suppress(Failure):
                    _bind(cluster, "Create", one)
                _bind(cluster, "Delete", one)
            case "back":
                with contextlib.suppress(Failure):
                    _bind(cluster, "Update", two, one)
                _bind(cluster, "Update", one, two)
    except Failure as failure:
        return "no" if key in str(failure) else str(failure)
    return "ok"


def _bind(cluster: Rehearsed, *event: Any, **identity: str) -> None:
    run(cluster.connection, *event, **identity)


def _asked(key: str, ownership: str, role: str) -> dict[str, Any]:
    if ownership == "FORCE":
        return account(key, "ADOPT", role, Force="true")
    return account(key, ownership, role)


def _make(cluster: Rehearsed, key: str, manager: str) -> None:
    labels = {"team": "payments"}
    if manager == "helm":
        release = {"meta.helm.sh/release-name": "api"}
        labels[MANAGED_BY] = "Helm"
        cluster.make_account(key, manager=manager, labels=labels, annotations=release)
    else:
        applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(labels)}
        cluster.make_account(key, manager=manager, labels=labels, annotations=applied)


def _told(found: dict[str, Any] | None) -> str:
    if found is None:
        return "absent"
    annotations = found["metadata"].get("annotations", {})
    role = annotations.get(ROLE, "-").rpartition("/")[2]
    stack, _, logical_id = annotations.get(OWNER, "").rpartition("#")
    holder = {"": "-", SIBLING: "sibling", "Batch0": "me"}[logical_id]
    return f"{role}/{'stranger' if stack == STRANGER else holder}"


def _made_by_us(ownership: str, state: str) -> bool:
    return ownership == "CREATE" and state in ("ours", "hand", "sibling")


def _others(found: dict[str, Any]) -> dict[str, Any]:
    """What is not ours on the object."""
    metadata = found["metadata"]
    annotations = metadata.get("annotations", {})
    kept = {k: v for k, v in annotations.items() if k != ROLE and not k.startswith("irsa-stack/")}
    return {"labels": metadata.get("labels", {}), "annotations": kept}
