"""One event from CloudFormation's side, against a small API server and the layer's kubectl."""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_resource import Failure
from kubernetes_api import connection
from kubernetes_api.restart import TEMPLATE_ROLE
from service_accounts import on_event
from service_accounts.binding import RESTART_DUE
from tests.support.api_server import ApiServer, Reply, refusal
from tests.support.binder import LOGICAL_ID, ONE, ROLE, TWO, account, run
from tests.support.cloudformation import STACK_ID, Context, ResponseUrl
from tests.support.interruption import killed_at
from tests.support.patience import bear

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACE = "/api/v1/namespaces/apps"
ACCOUNTS = f"{NAMESPACE}/serviceaccounts"
DEPLOYMENT = "/apis/apps/v1/namespaces/apps/deployments/api"
BUDGET = "/apis/policy/v1/namespaces/apps/poddisruptionbudgets/api"


def _roles(server: ApiServer) -> dict[str, str | None]:
    return {
        path.rpartition("/")[2]: thing["metadata"].get("annotations", {}).get(ROLE)
        for path, thing in server.objects.items()
        if path.startswith(ACCOUNTS)
    }


def _deployment(server: ApiServer, name: str = "api", **spec: Any) -> str:
    path = f"{DEPLOYMENT.rpartition('/')[0]}/{name}"
    status = {"updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}
    template = {"metadata": {"labels": {"app": "api"}}, "spec": {"serviceAccountName": "api"}}
    body = {
        "kind": "Deployment",
        "spec": {"replicas": 1, "template": template, **spec},
        "status": {"observedGeneration": 9, **status},
    }
    server.put(path, body)
    return path


def _template_role(server: ApiServer, path: str = DEPLOYMENT) -> str | None:
    metadata = server.objects[path]["spec"]["template"]["metadata"]
    role: str | None = metadata.get("annotations", {}).get(TEMPLATE_ROLE)
    return role


def _refuse(method: str, path: str, reply: Reply) -> Callable[[str, str], Reply | None]:
    return lambda asked, at: reply if (asked, at) == (method, path) else None


def test_answers_cloudformation_once_with_the_count(server: ApiServer) -> None:
    event = {
        "RequestType": "Create",
        "StackId": STACK_ID,
        "LogicalResourceId": LOGICAL_ID,
        "RequestId": "1",
        "ResourceProperties": {
            "Cluster": server.connection,
            "ServiceAccounts": account("apps/api"),
        },
    }
    with ResponseUrl() as url:
        on_event.handle({**event, "ResponseURL": url.url}, Context())

    (put,) = url.puts
    assert put.response["Status"] == "SUCCESS"
    assert put.response["PhysicalResourceId"] == "cluster/Batch0"
    assert put.response["Data"] == {"Bound": "1", "LeftAlone": ""}


def test_creates_changes_and_deletes_what_is_ours(server: ApiServer) -> None:
    one, two = account("apps/api"), account("apps/api", role=TWO)

    run(server.connection, "Create", one)
    assert _roles(server) == {"api": ONE}
    run(server.connection, "Update", two, one)
    assert _roles(server) == {"api": TWO}
    run(server.connection, "Delete", two)
    assert _roles(server) == {}


def test_the_same_again_writes_nothing(server: ApiServer) -> None:
    server.put(f"{ACCOUNTS}/theirs", {})
    asked = {**account("apps/api"), **account("apps/theirs", "ADOPT")}
    run(server.connection, "Create", asked)
    before = len(server.writes)

    run(server.connection, "Update", asked, asked)

    assert len(server.writes) == before


def test_refuses_all_that_cannot_be_before_writing(server: ApiServer) -> None:
    server.put(f"{ACCOUNTS}/theirs", {})
    asked = {
        **account("apps/api"),
        **account("apps/theirs"),
        **account("apps/absent", "ADOPT"),
    }

    with pytest.raises(Failure, match=r"apps/theirs must not exist.*apps/absent must exist"):
        run(server.connection, "Create", asked)

    assert server.writes == []


def test_tells_ten_refusals_and_how_many_more(server: ApiServer) -> None:
    asked = {k: v for n in range(12) for k, v in account(f"apps/a{n}", "ADOPT").items()}

    with pytest.raises(Failure, match="and 2 more"):
        run(server.connection, "Create", asked)


def test_a_batch_that_fails_half_way_is_undone_and_names_the_object(server: ApiServer) -> None:
    server.put(f"{ACCOUNTS}/theirs", {})
    server.put(f"{ACCOUNTS}/denied", {})
    before = copy.deepcopy({k: v["metadata"].get("annotations") for k, v in server.objects.items()})
    denied = refusal(403, "Forbidden", 'admission webhook "policy" denied the request')
    server.trouble = _refuse("PATCH", f"{ACCOUNTS}/denied", denied)
    asked = {
        **account("apps/api"),
        **account("apps/theirs", "ADOPT"),
        **account("apps/denied", "ADOPT"),
    }

    with pytest.raises(
        Failure, match=r"serviceaccounts/denied.*denied the request.*everything done.*undone"
    ):
        run(server.connection, "Create", asked)

    after = {k: v["metadata"].get("annotations") or None for k, v in server.objects.items()}
    assert after == before


def test_a_retry_finishes_what_was_interrupted(server: ApiServer) -> None:
    asked = {**account("apps/one"), **account("apps/two")}

    with killed_at(1):
        run(server.connection, "Create", asked)
    run(server.connection, "Create", asked)

    assert _roles(server) == {"one": ONE, "two": ONE}


def test_what_cannot_be_undone_is_told(server: ApiServer) -> None:
    answers = {
        ("POST", ACCOUNTS): None,
        ("PATCH", f"{ACCOUNTS}/theirs"): refusal(403, "Forbidden", "no"),
        ("DELETE", f"{ACCOUNTS}/api"): refusal(403, "Forbidden", "not that either"),
    }
    server.put(f"{ACCOUNTS}/theirs", {})
    server.trouble = lambda method, path: answers.get((method, path))
    asked = {**account("apps/api"), **account("apps/theirs", "ADOPT")}

    with pytest.raises(Failure, match=r"apps/api could not be put back: .*not that either"):
        run(server.connection, "Create", asked)


def test_an_object_that_is_made_meanwhile_is_decided_anew(server: ApiServer) -> None:
    def meanwhile(method: str, _path: str) -> None:
        if method == "POST":
            server.put(f"{ACCOUNTS}/api", {})

    server.trouble = meanwhile

    with pytest.raises(Failure, match="apps/api must not exist before"):
        run(server.connection, "Create", account("apps/api"))

    assert _roles(server) == {"api": None}


def test_an_object_that_always_changes_is_given_up(server: ApiServer) -> None:
    run(server.connection, "Create", account("apps/api"))
    conflict = refusal(409, "Conflict", "the object has been modified")
    server.trouble = _refuse("PATCH", f"{ACCOUNTS}/api", conflict)

    with pytest.raises(Failure, match="has been modified"):
        run(server.connection, "Update", account("apps/api", role=TWO), account("apps/api"))


def test_an_undo_that_meets_a_change_looks_again(server: ApiServer) -> None:
    run(server.connection, "Create", account("apps/api"))
    server.put(f"{ACCOUNTS}/denied", {})
    denied = refusal(403, "Forbidden", "no")
    conflicts = [refusal(409, "Conflict", "modified")]
    patched: list[str] = []

    def trouble(method: str, path: str) -> Reply | None:
        if method != "PATCH":
            return None
        patched.append(path)
        if path.endswith("/denied"):
            return denied
        return conflicts.pop() if len(patched) > 2 and conflicts else None

    server.trouble = trouble
    changed = {**account("apps/api", role=TWO), **account("apps/denied", "ADOPT")}

    with pytest.raises(Failure, match="everything done before was undone"):
        run(server.connection, "Update", changed, account("apps/api"))

    assert _roles(server)["api"] == ONE


def test_a_bug_is_undone_too_and_stays_a_bug(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service_accounts.consumers import Restarts

    def broken(*_: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(Restarts, "perform", broken)

    with pytest.raises(KeyError):
        run(server.connection, "Create", account("apps/api"))

    assert _roles(server) == {}


def test_a_missing_namespace_is_refused_with_the_cure(server: ApiServer) -> None:
    missing = refusal(404, "NotFound", 'namespaces "apps" not found')
    server.trouble = _refuse("POST", ACCOUNTS, missing)

    with pytest.raises(Failure, match=r'namespaces "apps" not found.*create_namespace'):
        run(server.connection, "Create", account("apps/api"))


def test_another_cluster_is_another_resource(server: ApiServer) -> None:
    here, elsewhere = server.connection, {**server.connection, "Name": "elsewhere"}
    run(here, "Create", account("apps/api"))

    request = run(elsewhere, "Update", account("apps/new"), account("apps/api"))

    assert request.physical_id == "elsewhere/Batch0"


def test_a_namespace_that_we_are_no_longer_let_into_is_left_behind(server: ApiServer) -> None:
    old = {**account("apps/api"), **account("gone/api")}
    run(server.connection, "Create", old)
    collection = ACCOUNTS.replace("apps", "gone")
    server.trouble = _refuse("GET", collection, refusal(403, "Forbidden", "is forbidden"))

    run(server.connection, "Update", account("apps/api"), old)

    assert f"{collection}/api" in server.objects


# Namespaces


KEPT = account("apps/api")
MADE = {**KEPT, **account("new/api", CreateNamespace="true")}


def _shrink_access(server: ApiServer, namespace: str = "apps") -> None:
    """The access entry as CloudFormation changes it before the batch: one namespace is left."""

    def trouble(_method: str, path: str) -> Reply | None:
        outside = path.startswith("/api/v1/namespaces") and namespace not in path
        return refusal(403, "Forbidden", f"{path} is forbidden") if outside else None

    server.trouble = trouble


def test_a_namespace_whose_account_goes_with_our_access_is_left_behind(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    run(server.connection, "Create", MADE)
    _shrink_access(server)

    answer = run(server.connection, "Update", KEPT, MADE)

    assert answer.data["Bound"] == "1"
    assert "/api/v1/namespaces/new" in server.objects
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert [line["namespace"] for line in lines if line["message"] == "namespace left behind"] == [
        "new"
    ]


def test_the_rollback_of_an_added_namespace_does_not_fail_where_access_is_gone(
    server: ApiServer,
) -> None:
    run(server.connection, "Create", KEPT)
    run(server.connection, "Update", MADE, KEPT)
    _shrink_access(server)

    assert run(server.connection, "Update", KEPT, MADE).data["Bound"] == "1"


def test_the_rollback_of_a_namespace_that_was_not_made_does_not_fail_either(
    server: ApiServer,
) -> None:
    run(server.connection, "Create", KEPT)
    no = refusal(400, "BadRequest", "no")
    server.trouble = _refuse("POST", "/api/v1/namespaces/new/serviceaccounts", no)
    with pytest.raises(Failure, match="everything done before was undone"):
        run(server.connection, "Update", MADE, KEPT)
    _shrink_access(server)

    assert run(server.connection, "Update", KEPT, MADE).data["Bound"] == "1"


def test_a_namespace_that_cannot_be_removed_for_another_reason_fails_the_update(
    server: ApiServer,
) -> None:
    run(server.connection, "Create", MADE)
    refused = refusal(422, "Invalid", "not so")
    server.trouble = _refuse("DELETE", "/api/v1/namespaces/new", refused)

    with pytest.raises(Failure, match="not so"):
        run(server.connection, "Update", KEPT, MADE)


def test_makes_and_removes_a_namespace(server: ApiServer) -> None:
    asked = account("apps/api", CreateNamespace="true")

    run(server.connection, "Create", asked)
    made = server.objects[NAMESPACE]["metadata"]
    run(server.connection, "Delete", asked)

    assert made["labels"] == {"app.kubernetes.io/managed-by": "irsa-stack"}
    assert NAMESPACE not in server.objects


def test_a_namespace_made_meanwhile_is_not_ours(server: ApiServer) -> None:
    def meanwhile(method: str, path: str) -> None:
        if (method, path) == ("POST", "/api/v1/namespaces"):
            server.put(NAMESPACE, {})

    server.trouble = meanwhile
    asked = account("apps/api", CreateNamespace="true")

    run(server.connection, "Create", asked)
    run(server.connection, "Delete", asked)

    assert NAMESPACE in server.objects


@pytest.mark.parametrize(
    "path", [f"{NAMESPACE}/configmaps/theirs", "/apis/apps/v1/namespaces/apps/deployments/theirs"]
)
def test_leaves_a_namespace_that_holds_anything(server: ApiServer, path: str) -> None:
    asked = account("apps/api", CreateNamespace="true")
    run(server.connection, "Create", asked)
    server.put(path, {})

    run(server.connection, "Delete", asked)

    assert NAMESPACE in server.objects


def test_leaves_a_namespace_that_it_cannot_look_into(server: ApiServer) -> None:
    asked = account("apps/api", CreateNamespace="true")
    run(server.connection, "Create", asked)
    server.trouble = _refuse("GET", f"{NAMESPACE}/configmaps", refusal(403, "Forbidden", "no"))

    run(server.connection, "Delete", asked)

    assert NAMESPACE in server.objects


def _many_namespaces() -> dict[str, Any]:
    asked = (account(f"apps-{n}/api", CreateNamespace="true") for n in range(5))
    return {key: entry for one in asked for key, entry in one.items()}


def test_asks_once_which_kinds_there_are(server: ApiServer) -> None:
    run(server.connection, "Create", _many_namespaces())

    run(server.connection, "Delete", _many_namespaces())

    assert server.requests.count(("GET", "/apis/apps/v1")) == 1
    assert not any(path.endswith("namespaces/apps-4") for path in server.objects)


def test_a_group_whose_server_is_gone_is_asked_once_for_all_namespaces(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    run(server.connection, "Create", _many_namespaces())
    gone = refusal(503, "ServiceUnavailable", "the server is currently unable")
    server.trouble = _refuse("GET", "/apis/apps/v1", gone)
    began = time.monotonic()

    run(server.connection, "Delete", _many_namespaces())

    assert time.monotonic() - began < 2 * connection.PATIENCE["Delete"].trouble
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    left = [line for line in lines if line["message"] == "namespace left alone"]
    assert [line["namespace"] for line in left] == [f"apps-{n}" for n in range(5)]
    assert all("the server is currently unable" in line["because"] for line in left)


def test_looks_into_a_namespace_with_little_patience(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(server.connection, "Create", account("apps/api", CreateNamespace="true"))
    bear(monkeypatch, 10.0, 20.0, 0.5, 0.1)
    late = refusal(503, "ServiceUnavailable", "try later")
    server.trouble = _refuse("GET", f"{NAMESPACE}/configmaps", late)
    began = time.monotonic()

    run(server.connection, "Delete", account("apps/api", CreateNamespace="true"))

    assert time.monotonic() - began < 10
    assert NAMESPACE in server.objects


def test_a_namespace_made_for_nothing_is_removed_again(server: ApiServer) -> None:
    server.trouble = _refuse("POST", ACCOUNTS, refusal(400, "BadRequest", "no"))

    with pytest.raises(Failure, match="everything done before was undone"):
        run(server.connection, "Create", account("apps/api", CreateNamespace="true"))

    assert NAMESPACE not in server.objects


def test_a_namespace_that_cannot_be_removed_again_is_told(server: ApiServer) -> None:
    answers = {
        ("POST", ACCOUNTS): refusal(400, "BadRequest", "no"),
        ("DELETE", NAMESPACE): refusal(403, "Forbidden", "nor that"),
    }
    server.trouble = lambda method, path: answers.get((method, path))

    with pytest.raises(Failure, match="namespace apps could not be removed"):
        run(server.connection, "Create", account("apps/api", CreateNamespace="true"))


def test_waits_for_a_namespace_that_is_going_away(server: ApiServer) -> None:
    server.put(NAMESPACE, {"metadata": {"deletionTimestamp": "now"}})
    looks: list[str] = []

    def leave(method: str, path: str) -> None:
        if (method, path) == ("GET", NAMESPACE):
            looks.append(path)
            if len(looks) == 3:
                server.objects.pop(NAMESPACE, None)

    server.trouble = leave

    run(server.connection, "Create", account("apps/api", CreateNamespace="true"))

    assert "deletionTimestamp" not in server.objects[NAMESPACE]["metadata"]


# Restarts


@pytest.mark.parametrize("restart", [["*"], ["deployment/api"], ["deployment/api", "*"]])
def test_restarts_its_consumers(server: ApiServer, restart: list[str]) -> None:
    _deployment(server)

    run(server.connection, "Create", account("apps/api", Restart=restart))

    assert _template_role(server) == ONE


def test_a_workload_of_another_account_is_not_restarted(server: ApiServer) -> None:
    _deployment(server)

    run(server.connection, "Create", account("apps/web", Restart=["deployment/api", "*"]))

    assert _template_role(server) is None


def test_a_workload_that_is_not_there_yet_is_no_failure(server: ApiServer) -> None:
    run(server.connection, "Create", account("apps/api", Restart=["deployment/api"]))

    assert _roles(server) == {"api": ONE}


def test_a_paused_workload_is_not_waited_for(server: ApiServer) -> None:
    _deployment(server, paused=True, replicas=5)

    run(server.connection, "Create", account("apps/api", Restart=["*"]))

    assert _template_role(server) == ONE


def test_a_workload_that_goes_meanwhile_is_not_waited_for(server: ApiServer) -> None:
    _deployment(server, replicas=5)

    def vanish(method: str, path: str) -> None:
        if (method, path) == ("GET", DEPLOYMENT) and _template_role(server):
            server.objects.pop(DEPLOYMENT, None)

    server.trouble = vanish

    run(server.connection, "Create", account("apps/api", Restart=["*"]))

    assert DEPLOYMENT not in server.objects


def test_a_stuck_rollout_is_undone(server: ApiServer) -> None:
    _deployment(server, replicas=5)

    with pytest.raises(Failure, match=r"1 updated, 1 available of 5.*or raise rollout_timeout"):
        run(
            server.connection,
            "Create",
            account("apps/api", Restart=["*"]),
            RolloutTimeoutSeconds="0.3",
        )

    assert _template_role(server) is None
    assert _roles(server) == {}


def test_a_rollout_that_gave_up_is_not_waited_for(server: ApiServer) -> None:
    _deployment(server)
    condition = {"reason": "ProgressDeadlineExceeded", "message": "timed out progressing"}
    server.objects[DEPLOYMENT]["status"]["conditions"] = [condition]

    with pytest.raises(Failure, match="timed out progressing'; see why its pods do not become"):
        run(server.connection, "Create", account("apps/api", Restart=["*"]))


def test_a_restart_that_cannot_be_undone_is_told(server: ApiServer) -> None:
    _deployment(server, replicas=5)
    patches: list[str] = []

    def trouble(method: str, path: str) -> Reply | None:
        if (method, path) != ("PATCH", DEPLOYMENT):
            return None
        patches.append(path)
        return refusal(403, "Forbidden", "frozen") if len(patches) == 2 else None

    server.trouble = trouble

    with pytest.raises(Failure, match=r"deployments/api could not be restarted back: .*frozen"):
        run(
            server.connection,
            "Create",
            account("apps/api", Restart=["*"]),
            RolloutTimeoutSeconds="0.3",
        )


RESTARTING = account("apps/api", Restart=["deployment/api"])
UNRELATED = {**RESTARTING, **account("apps/other")}
OTHER_ROLE = account("apps/api", role=TWO, Restart=["deployment/api"])


def test_a_workload_that_was_made_after_its_account_is_not_restarted(server: ApiServer) -> None:
    run(server.connection, "Create", RESTARTING)
    _deployment(server)
    before = len(server.writes)

    run(server.connection, "Update", UNRELATED, RESTARTING)

    assert server.writes[before:] == [("POST", ACCOUNTS)]


@pytest.mark.parametrize("spec", [{"strategy": {"type": "Recreate"}}, {"replicas": 3}])
def test_no_workload_fails_an_update_that_does_not_concern_it_nor_its_rollback(
    server: ApiServer, spec: dict[str, Any]
) -> None:
    run(server.connection, "Create", RESTARTING)
    _deployment(server, **spec)
    _budget(server, allowed=0, healthy=1)

    for asked, old in ((UNRELATED, RESTARTING), (RESTARTING, UNRELATED)):
        run(server.connection, "Update", asked, old, RolloutTimeoutSeconds="0.3")

    assert _template_role(server) is None


def test_a_workload_that_was_made_after_its_account_restarts_for_another_role(
    server: ApiServer,
) -> None:
    run(server.connection, "Create", RESTARTING)
    _deployment(server)

    run(server.connection, "Update", OTHER_ROLE, RESTARTING)

    assert _template_role(server) == TWO


def test_the_rollback_of_a_change_that_was_refused_restarts_nothing(server: ApiServer) -> None:
    run(server.connection, "Create", RESTARTING)
    _deployment(server, strategy={"type": "Recreate"})
    _budget(server, allowed=0, healthy=1)
    before = len(server.writes)
    with pytest.raises(Failure, match="lower maxUnavailable"):
        run(server.connection, "Update", OTHER_ROLE, RESTARTING)

    run(server.connection, "Update", RESTARTING, OTHER_ROLE)

    assert server.writes[before:] == []


@pytest.mark.parametrize("ownership", ["CREATE", "ADOPT"])
@pytest.mark.parametrize("write", range(3))
def test_a_change_of_role_that_was_killed_restarts_when_it_is_tried_again(
    server: ApiServer, ownership: str, write: int
) -> None:
    if ownership == "ADOPT":
        server.put(f"{ACCOUNTS}/api", {})
    old = account("apps/api", ownership, Restart=["*"])
    new = account("apps/api", ownership, role=TWO, Restart=["*"])
    run(server.connection, "Create", old)
    _deployment(server)
    with killed_at(write):
        run(server.connection, "Update", new, old)

    run(server.connection, "Update", new, old)

    assert _template_role(server) == TWO
    assert _roles(server) == {"api": TWO}
    assert RESTART_DUE not in server.objects[f"{ACCOUNTS}/api"]["metadata"]["annotations"]


@pytest.mark.parametrize("write", range(1, 3))
def test_a_change_of_role_that_was_killed_restarts_when_it_is_rolled_back(
    server: ApiServer, write: int
) -> None:
    run(server.connection, "Create", RESTARTING)
    _deployment(server)
    with killed_at(write):
        run(server.connection, "Update", OTHER_ROLE, RESTARTING)

    run(server.connection, "Update", RESTARTING, OTHER_ROLE)

    assert _template_role(server) == ONE
    assert _roles(server) == {"api": ONE}
    assert RESTART_DUE not in server.objects[f"{ACCOUNTS}/api"]["metadata"]["annotations"]


def test_a_released_account_keeps_no_mark_of_a_restart_that_was_killed(server: ApiServer) -> None:
    server.put(f"{ACCOUNTS}/api", {})
    _deployment(server)
    asked = account("apps/api", "ADOPT", Restart=["*"])
    with killed_at(1):
        run(server.connection, "Create", asked)

    run(server.connection, "Delete", asked)

    assert "annotations" not in server.objects[f"{ACCOUNTS}/api"]["metadata"]


def test_a_workload_that_is_named_later_restarts_and_no_other(server: ApiServer) -> None:
    run(server.connection, "Create", RESTARTING)
    _deployment(server)
    web = _deployment(server, "web")
    both = account("apps/api", Restart=["deployment/api", "deployment/web"])

    run(server.connection, "Update", both, RESTARTING)

    assert _template_role(server, web) == ONE
    assert _template_role(server) is None


def test_a_workload_that_is_named_later_fails_nothing(server: ApiServer) -> None:
    run(server.connection, "Create", account("apps/api"))
    _deployment(server, replicas=3)

    run(
        server.connection,
        "Update",
        RESTARTING,
        account("apps/api"),
        RolloutTimeoutSeconds="0.3",
    )

    assert _template_role(server) == ONE


def test_an_account_that_moves_to_another_batch_restarts_nothing(server: ApiServer) -> None:
    run(server.connection, "Create", RESTARTING)
    _deployment(server)

    run(server.connection, "Create", RESTARTING, logical_id="Batch1")

    assert _template_role(server) is None


def test_pods_that_were_made_without_the_role_restart_though_their_binding_does_not_change(
    server: ApiServer,
) -> None:
    run(server.connection, "Create", RESTARTING)
    server.edit(f"{ACCOUNTS}/api", {"metadata": {"annotations": {ROLE: TWO}}})
    _deployment(server)

    run(server.connection, "Update", UNRELATED, RESTARTING)

    assert _template_role(server) == ONE


@pytest.mark.parametrize("spec", [{"strategy": {"type": "Recreate"}}, {"replicas": 3}])
def test_they_do_not_fail_the_update_either(server: ApiServer, spec: dict[str, Any]) -> None:
    run(server.connection, "Create", RESTARTING)
    server.edit(f"{ACCOUNTS}/api", {"metadata": {"annotations": {ROLE: TWO}}})
    _deployment(server, **spec)
    _budget(server, allowed=0, healthy=1)

    run(server.connection, "Update", UNRELATED, RESTARTING, RolloutTimeoutSeconds="0.3")

    assert _roles(server)["api"] == ONE


def _budget(server: ApiServer, allowed: int, healthy: int) -> None:
    server.put(
        BUDGET,
        {
            "spec": {"selector": {"matchLabels": {"app": "api"}}},
            "status": {
                "disruptionsAllowed": allowed,
                "expectedPods": 1,
                "desiredHealthy": healthy,
            },
        },
    )


def test_a_budget_that_never_allows_it_is_refused_before_writing(server: ApiServer) -> None:
    _deployment(server, strategy={"type": "Recreate"})
    _budget(server, allowed=0, healthy=1)

    with pytest.raises(Failure, match="PodDisruptionBudget api allows 0; lower maxUnavailable"):
        run(server.connection, "Create", account("apps/api", Restart=["*"]))

    assert server.writes == []


def test_a_budget_is_waited_for(server: ApiServer) -> None:
    _deployment(server, strategy={"type": "Recreate"})
    _budget(server, allowed=0, healthy=0)
    looks: list[str] = []

    def heal(_method: str, path: str) -> None:
        if path == BUDGET.rpartition("/")[0]:
            looks.append(path)
            if len(looks) == 3:
                _budget(server, allowed=1, healthy=0)

    server.trouble = heal

    run(server.connection, "Create", account("apps/api", Restart=["*"]))

    assert _template_role(server) == ONE


def test_a_budget_that_does_not_come_to_allow_it_is_told(server: ApiServer) -> None:
    _deployment(server, strategy={"type": "Recreate"})
    _budget(server, allowed=0, healthy=0)

    with pytest.raises(Failure, match=r"must stay within its budget.*see why its pods"):
        run(
            server.connection,
            "Create",
            account("apps/api", Restart=["*"]),
            RolloutTimeoutSeconds="0.3",
        )


def test_consumers_of_a_released_account_restart(server: ApiServer) -> None:
    _deployment(server)
    server.put(f"{ACCOUNTS}/api", {})
    asked = account("apps/api", "ADOPT", Restart=["*"])
    run(server.connection, "Create", asked)

    run(server.connection, "Update", {}, asked)

    assert _template_role(server) is None


# Delete


def test_deletes_as_much_as_it_can_and_tells_the_rest(server: ApiServer) -> None:
    asked = {**account("apps/one"), **account("apps/two")}
    run(server.connection, "Create", asked)
    server.trouble = _refuse("DELETE", f"{ACCOUNTS}/one", refusal(403, "Forbidden", "no"))

    with pytest.raises(Failure, match="serviceaccounts/one"):
        run(server.connection, "Delete", asked)

    assert _roles(server) == {"one": ONE}


@pytest.mark.parametrize("properties", [{}, {"Cluster": {"Name": "c"}}])
def test_deleting_what_was_malformed_is_success(properties: dict[str, Any]) -> None:
    with ResponseUrl() as url:
        event = {"RequestType": "Delete", "ResourceProperties": properties}
        on_event.handle(
            {**event, "PhysicalResourceId": "anything", "ResponseURL": url.url}, Context()
        )

    assert url.puts[0].response["Status"] == "SUCCESS"
    assert url.puts[0].response["PhysicalResourceId"] == "anything"


def test_deleting_no_accounts_needs_no_cluster(server: ApiServer) -> None:
    run({**server.connection, "Endpoint": "https://127.0.0.1:1"}, "Delete", {})

    assert server.requests == []


@pytest.mark.parametrize("gone", [True, False])
def test_an_unreachable_cluster_is_success_only_when_it_is_gone(
    server: ApiServer,
    monkeypatch: pytest.MonkeyPatch,
    gone: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(on_event, "is_gone", lambda _: gone)
    down = {**server.connection, "Endpoint": "https://127.0.0.1:1"}

    if gone:
        assert run(down, "Delete", account("apps/api")).physical_id == "cluster/Batch0"
    else:
        with pytest.raises(Failure, match=r"delete again, or delete the stack and retain Batch0"):
            run(down, "Delete", account("apps/api"))


def test_a_connection_that_breaks_in_the_middle_of_a_delete_is_told_as_such(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_event, "is_gone", lambda _: False)
    run(server.connection, "Create", account("apps/api"))
    server.trouble = _refuse("DELETE", f"{ACCOUNTS}/api", Reply(502, "no upstream"))

    with pytest.raises(Failure, match="then delete again"):
        run(server.connection, "Delete", account("apps/api"))


def test_no_log_line_holds_the_token(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    run(server.connection, "Create", account("apps/api"))

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines
    assert "token" not in json.dumps(lines)
