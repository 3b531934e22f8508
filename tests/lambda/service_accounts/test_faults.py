"""What breaks when something else breaks: two faults at once, late events, objects in odd states.

Each docstring names the finding of the fault hunt that the test failed for.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_resource import Deadline, Failure, Request
from service_accounts import accounts, on_event, release
from tests.support.api_server import ApiServer, Reply, refusal
from tests.support.binder import LOGICAL_ID, ONE, ROLE, TWO, account, run
from tests.support.cloudformation import STACK_ID
from tests.support.interruption import killed_at

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACE = "/api/v1/namespaces/apps"
ACCOUNTS = f"{NAMESPACE}/serviceaccounts"
DEPLOYMENT = "/apis/apps/v1/namespaces/apps/deployments/api"
BUDGET = "/apis/policy/v1/namespaces/apps/poddisruptionbudgets/api"
UNDONE = "everything done before was undone"


def roles(server: ApiServer) -> dict[str, str | None]:
    return {
        path.rpartition("/")[2]: thing["metadata"].get("annotations", {}).get(ROLE)
        for path, thing in server.objects.items()
        if path.startswith(ACCOUNTS)
    }


def hold(server: ApiServer, name: str = "api") -> None:
    """Put a finalizer on an account."""
    server.edit(f"{ACCOUNTS}/{name}", {"metadata": {"finalizers": ["example.com/hold"]}})


def let_go(server: ApiServer, name: str = "api") -> None:
    server.objects.pop(f"{ACCOUNTS}/{name}", None)


def end(server: ApiServer, name: str = "api") -> None:
    """Delete an account that a finalizer holds."""
    hold(server, name)
    server.objects[f"{ACCOUNTS}/{name}"]["metadata"]["deletionTimestamp"] = "2026-11-28T20:00:00Z"


def refuse(method: str, path: str, reply: Reply) -> Callable[[str, str], Reply | None]:
    return lambda asked, at: reply if (asked, at) == (method, path) else None


def deployment(server: ApiServer, **spec: Any) -> None:
    status = {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}
    template = {"metadata": {"labels": {"app": "api"}}, "spec": {"serviceAccountName": "api"}}
    body = {
        "kind": "Deployment",
        "spec": {"replicas": 3, "template": template, "strategy": {"type": "Recreate"}, **spec},
        "status": {"observedGeneration": 9, **status},
    }
    server.put(DEPLOYMENT, body)


def template_role(server: ApiServer) -> str | None:
    metadata = server.objects[DEPLOYMENT]["spec"]["template"]["metadata"]
    role: str | None = metadata.get("annotations", {}).get("irsa-stack/role-arn")
    return role


def delete_without_id(server: ApiServer, asked: dict[str, Any]) -> None:
    """The Delete that CloudFormation sends when a creation never answered."""
    properties = {"Cluster": server.connection, "ServiceAccounts": asked}
    request = Request(
        "Delete", "stack-Batch0-1ABCDEFGH", properties, {}, STACK_ID, LOGICAL_ID, "delete"
    )
    on_event.work(request, Deadline(60))


# Objects that are being deleted


@pytest.mark.parametrize("ownership", ["CREATE", "ADOPT"])
def test_an_account_that_is_being_deleted_is_refused_by_name(
    server: ApiServer, ownership: str
) -> None:
    """F9, B06: it was counted as bound, and was gone with its finalizer."""
    if ownership == "CREATE":
        run(server.connection, "Create", account("apps/api"))
    else:
        server.put(f"{ACCOUNTS}/api", {})
    end(server)

    with pytest.raises(Failure, match=r"apps/api must stay, got it deleted at 2026"):
        run(server.connection, "Create", account("apps/api", ownership))


def test_an_account_that_is_being_deleted_is_waited_for_and_made_anew(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F9, B06."""
    monkeypatch.setattr(accounts, "FIGHT_SECONDS", 20.0)
    run(server.connection, "Create", account("apps/api"))
    end(server)
    threading.Timer(0.2, let_go, [server]).start()

    run(server.connection, "Create", account("apps/api"))

    assert roles(server) == {"api": ONE}
    assert "deletionTimestamp" not in server.objects[f"{ACCOUNTS}/api"]["metadata"]


def test_a_deletion_that_is_under_way_is_not_told_as_undone(server: ApiServer) -> None:
    """F9, B07."""
    both = {**account("apps/api"), **account("apps/other")}
    run(server.connection, "Create", both)
    hold(server)
    server.trouble = refuse("DELETE", f"{ACCOUNTS}/other", refusal(403, "Forbidden", "no"))
    third = account("apps/third")

    with pytest.raises(Failure, match="apps/api could not be put back: its deletion is under way"):
        run(server.connection, "Update", third, both)


def test_a_namespace_that_never_ends_is_named(server: ApiServer) -> None:
    """F15, B09: the deadline's own words replaced it."""
    ending = {"metadata": {"deletionTimestamp": "2026-11-28T20:00:00Z"}}
    server.put(NAMESPACE, ending)
    asked = account("apps/api", CreateNamespace="true")

    with pytest.raises(Failure, match=r"^namespace apps must be gone before it is made anew, got"):
        run(server.connection, "Create", asked, seconds=2.0)


# One that cannot be released, and the others


def test_a_namespace_that_is_gone_with_our_access_does_not_keep_the_others(
    server: ApiServer,
) -> None:
    """F10, B39."""
    both = {**account("apps/api"), **account("gone/api")}
    run(server.connection, "Create", both)
    denied = refusal(403, "Forbidden", 'User "f" cannot list resource "serviceaccounts"')
    server.trouble = refuse("GET", "/api/v1/namespaces/gone/serviceaccounts", denied)

    run(server.connection, "Delete", both)

    assert roles(server) == {}


def test_a_namespace_that_cannot_be_listed_is_told_and_the_others_are_released(
    server: ApiServer,
) -> None:
    """F10, B40."""
    both = {**account("apps/api"), **account("closed/api")}
    server.put("/api/v1/namespaces/closed", {})
    run(server.connection, "Create", both)
    denied = refusal(403, "Forbidden", 'User "f" cannot list resource "serviceaccounts"')
    server.trouble = refuse("GET", "/api/v1/namespaces/closed/serviceaccounts", denied)

    with pytest.raises(Failure, match=r"closed/serviceaccounts: Kubernetes says .*cannot list"):
        run(server.connection, "Delete", both)

    assert roles(server) == {}


def test_whatever_is_written_on_one_account_the_others_are_released(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 9 of the security review."""
    both = {**account("apps/one"), **account("apps/two")}
    run(server.connection, "Create", both)
    decide = accounts.decide

    def breaks(wanted: Any, previous: Any, found: Any, owner: Any) -> Any:
        if previous.name == "one":
            raise AttributeError("whatever")
        return decide(wanted, previous, found, owner)

    monkeypatch.setattr(accounts, "decide", breaks)

    with pytest.raises(Failure, match="apps/one: unexpected AttributeError"):
        run(server.connection, "Delete", both)

    assert roles(server) == {"one": ONE}


# Budgets


@pytest.mark.parametrize("event", ["Delete", "Update"])
def test_a_budget_that_was_made_since_is_kept_on_release(server: ApiServer, event: str) -> None:
    """F11, B17: 0 of 3 pods were ready."""
    server.put(f"{ACCOUNTS}/api", {})
    deployment(server)
    asked = account("apps/api", "ADOPT", Restart=["deployment/api"])
    run(server.connection, "Create", asked)
    assert template_role(server) == ONE
    selector = {"matchLabels": {"app": "api"}}
    status = {"disruptionsAllowed": 1, "expectedPods": 3, "desiredHealthy": 2}
    server.put(BUDGET, {"spec": {"selector": selector}, "status": status})

    old = asked if event == "Update" else None
    run(server.connection, event, {} if old else asked, old)

    assert roles(server) == {"api": None}
    assert template_role(server) == ONE


def test_a_budget_that_was_made_since_is_kept_on_undo_and_told(server: ApiServer) -> None:
    """F11."""
    server.put(f"{ACCOUNTS}/api", {})
    server.put(f"{ACCOUNTS}/other", {})
    deployment(server)
    selector = {"matchLabels": {"app": "api"}}
    budget = {"spec": {"selector": selector}, "status": {"disruptionsAllowed": 1}}

    def trouble(method: str, path: str) -> Reply | None:
        # When the rollout is looked at.
        if method == "GET" and path == DEPLOYMENT and template_role(server) == ONE:
            server.put(BUDGET, budget) if BUDGET not in server.objects else None
            return refusal(422, "Invalid", "no")
        return None

    server.trouble = trouble
    asked = account("apps/api", "ADOPT", Restart=["deployment/api"])

    with pytest.raises(Failure, match=r"deployments/api (was not restarted|could not be)") as told:
        run(server.connection, "Create", asked)

    assert UNDONE not in str(told.value)


# Writes whose answers are lost


@pytest.mark.parametrize(("method", "path"), [("POST", ACCOUNTS), ("PATCH", f"{ACCOUNTS}/adopted")])
def test_a_write_whose_answer_was_lost_is_undone(server: ApiServer, method: str, path: str) -> None:
    """F13, B22: told as undone, and left."""
    server.put(f"{ACCOUNTS}/adopted", {})
    server.put(f"{ACCOUNTS}/denied", {})
    before = roles(server)
    lost: list[str] = []
    answer = server._answer

    def loses(asked: str, at: str, *more: Any) -> Reply:
        reply = answer(asked, at, *more)
        if (asked, at) == (method, path) and not lost:
            lost.append(at)
            return Reply(502, "the answer was lost")
        if (asked, at) == ("PATCH", f"{ACCOUNTS}/denied"):
            return refusal(403, "Forbidden", "no")
        return reply

    server._answer = loses  # type: ignore[method-assign]
    asked = {
        **account("apps/api"),
        **account("apps/adopted", "ADOPT"),
        **account("apps/denied", "ADOPT"),
    }

    with pytest.raises(Failure, match=UNDONE):
        run(server.connection, "Create", asked)

    assert lost
    assert roles(server) == {**before, "denied": roles(server)["denied"]}


# A writer that never pauses


@pytest.mark.parametrize("event", ["Update", "Delete"])
def test_a_writer_that_does_not_pause_is_out_waited(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """F17, B38: given up after six conflicts within a second."""
    monkeypatch.setattr(accounts, "FIGHT_SECONDS", 20.0)
    run(server.connection, "Create", account("apps/api"))
    left = [20]

    def writes_first(method: str, _path: str) -> None:
        if method in ("PATCH", "DELETE") and left[0]:
            left[0] -= 1
            server.edit(f"{ACCOUNTS}/api", {"metadata": {"labels": {"n": str(left[0])}}})

    server.trouble = writes_first
    if event == "Update":
        run(server.connection, "Update", account("apps/api", role=TWO), account("apps/api"))
    else:
        run(server.connection, "Delete", account("apps/api"))

    assert roles(server) == ({"api": TWO} if event == "Update" else {})


# Events that overlap


def test_a_deletion_that_overtakes_a_creation_leaves_nothing(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F1, B5: CloudFormation cancels a creation; 14 of 20 accounts were left."""
    monkeypatch.setattr(release, "LOOK_AGAIN_SECONDS", 1.0)
    asked = {k: v for n in range(20) for k, v in account(f"apps/a{n}").items()}

    def slow(method: str, _path: str) -> None:
        if method == "POST":
            time.sleep(0.03)

    server.trouble = slow

    def create() -> None:
        try:
            run(server.connection, "Create", asked)
        except Failure as failure:
            said.append(str(failure))

    said: list[str] = []
    creation = threading.Thread(target=create)
    creation.start()
    time.sleep(0.4)

    delete_without_id(server, asked)
    creation.join()

    assert roles(server) == {}


def test_what_is_taken_off_at_once_is_put_back(server: ApiServer) -> None:
    """F19, B11: an operator takes our annotation off."""
    taken = [1]

    def operator(method: str, _path: str) -> None:
        if method == "GET" and roles(server).get("api") == ONE and taken:
            taken.pop()
            server.edit(f"{ACCOUNTS}/api", {"metadata": {"annotations": {ROLE: None}}})

    server.put(f"{ACCOUNTS}/api", {})
    server.trouble = operator

    run(server.connection, "Create", account("apps/api", "ADOPT"))

    assert roles(server) == {"api": ONE}


def test_what_is_taken_off_each_time_is_told(server: ApiServer) -> None:
    """F19, B11: `Bound: 1`."""

    def operator(method: str, _path: str) -> None:
        if method == "GET" and roles(server).get("api") == ONE:
            server.edit(f"{ACCOUNTS}/api", {"metadata": {"annotations": {ROLE: None}}})

    server.put(f"{ACCOUNTS}/api", {})
    server.trouble = operator

    with pytest.raises(Failure, match="apps/api must keep what was written, got it changed each"):
        run(server.connection, "Create", account("apps/api", "ADOPT"))


# A move to another cluster that was killed


def test_the_rollback_of_a_move_that_was_killed_cleans_up_where_it_went(
    server: ApiServer,
) -> None:
    """F14, B32: three accounts were left there."""
    blue, asked = server.connection, {**account("apps/one"), **account("apps/two")}
    with ApiServer() as other:
        green = {**other.connection, "Name": "green"}
        run(blue, "Create", asked)
        with killed_at(1):
            run(green, "Create", asked)
        assert len(roles(other)) == 1
        request = Request(
            "Update",
            f"{blue['Name']}/{LOGICAL_ID}",
            {"Cluster": blue, "ServiceAccounts": asked},
            {"Cluster": green, "ServiceAccounts": asked},
            STACK_ID,
            LOGICAL_ID,
            "rollback",
        )

        on_event.work(request, Deadline(60))

        assert roles(other) == {}
    assert roles(server) == {"one": ONE, "two": ONE}


# Drift


@pytest.mark.parametrize("role", [None, TWO])
def test_a_changed_refresh_alone_heals_an_account_of_ours(
    server: ApiServer, role: str | None
) -> None:
    """Issue "What AWS itself does", item 9: `cdk deploy` said "(no changes)"."""
    asked = account("apps/api")
    run(server.connection, "Create", asked)
    server.edit(f"{ACCOUNTS}/api", {"metadata": {"annotations": {ROLE: role}}})

    run(server.connection, "Update", asked, asked, Refresh="2")

    assert roles(server) == {"api": ONE}


def test_a_changed_refresh_puts_back_what_went_from_somebody_elses_account(
    server: ApiServer,
) -> None:
    asked = account("apps/api", "ADOPT")
    server.put(f"{ACCOUNTS}/api", {})
    run(server.connection, "Create", asked)
    server.edit(f"{ACCOUNTS}/api", {"metadata": {"annotations": {ROLE: None}}})

    run(server.connection, "Update", asked, asked, Refresh="2")

    assert roles(server) == {"api": ONE}
