"""The decision on one account. Each cell is also run on real API servers, in tests/e2e."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from kubernetes_api.owner import OWNER, Owner
from kubernetes_api.undo_journal import UNDO
from service_accounts.binding import ADOPT, CREATE, Binding
from service_accounts.binding_plan import Step, Verb, decide, undo

ME = Owner("stack", "Batch0")
SIBLING, STRANGER = "stack#Batch1", "other#Batch0"
ROLE = "eks.amazonaws.com/role-arn"
MINE = [("irsa-stack", "Apply")]
_versions = itertools.count(1)


def _binding(ownership: str = CREATE, role: str = "one", **more: Any) -> Binding:
    return Binding("apps", "api", ownership, annotations={ROLE: role}, **more)


def _object(
    annotations: dict[str, str] | None = None,
    *,
    labels: dict[str, str] | None = None,
    managers: list[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    annotations, labels = annotations or {}, labels or {}
    fields = {
        "f:annotations": {f"f:{key}": {} for key in annotations},
        "f:labels": {f"f:{key}": {} for key in labels},
    }
    return {
        "metadata": {
            "name": "api",
            "namespace": "apps",
            "uid": "uid",
            "resourceVersion": str(next(_versions)),
            "annotations": annotations,
            "labels": labels,
            "managedFields": [
                {"manager": name, "operation": operation, "fieldsV1": {"f:metadata": fields}}
                for name, operation in managers or []
            ],
        }
    }


def _made(role: str = "one", owner: str = ME.mark, **more: str) -> dict[str, Any]:
    return _object(
        {ROLE: role, "irsa-stack/owner": owner, **more},
        labels={"app.kubernetes.io/managed-by": "irsa-stack"},
        managers=[("irsa-stack", "Update")],
    )


def _adopted(role: str = "one", owner: str = ME.mark, **more: str) -> dict[str, Any]:
    return _object({ROLE: role, "irsa-stack/owner": owner, **more}, managers=MINE)


@pytest.mark.parametrize(
    ("wanted", "previous", "found", "verb"),
    [
        (_binding(), None, None, Verb.CREATE),
        (_binding(), None, _made(), Verb.NOTHING),
        (_binding(role="two"), _binding(), _made(), Verb.PATCH),
        (_binding(), None, _made(owner=SIBLING), Verb.PATCH),
        (_binding(), None, _made(owner=STRANGER), Verb.REFUSE),
        (_binding(), None, _object(managers=[("helm", "Update")]), Verb.REFUSE),
        (_binding(), _binding(), _object(), Verb.LEAVE),
        (_binding(ADOPT), None, None, Verb.REFUSE),
        (_binding(ADOPT), _binding(ADOPT), None, Verb.LEAVE),
        (_binding(ADOPT), None, _object(), Verb.APPLY),
        (_binding(ADOPT), None, _adopted(), Verb.NOTHING),
        (_binding(ADOPT), None, _object({ROLE: "x"}), Verb.REFUSE),
        (_binding(ADOPT, force=True), None, _object({ROLE: "x"}), Verb.APPLY),
        (_binding(ADOPT), None, _adopted(owner=STRANGER), Verb.REFUSE),
        (_binding(ADOPT, force=True), None, _adopted(owner=STRANGER), Verb.APPLY),
        (_binding(ADOPT), _binding(), _made(), Verb.NOTHING),
        (None, _binding(), None, Verb.NOTHING),
        (None, _binding(), _made(), Verb.DELETE),
        (None, _binding(ADOPT), _made(), Verb.PATCH),
        (None, _binding(), _adopted(), Verb.PATCH),
        (None, _binding(), _object({ROLE: "one"}, managers=[("argocd", "Apply")]), Verb.NOTHING),
        (None, _binding(), _made(owner=SIBLING), Verb.LEAVE),
        (None, _binding(), _made(owner=STRANGER), Verb.LEAVE),
        (None, None, _made(), Verb.NOTHING),
    ],
)
def test_the_step_follows_from_what_is_asked_for_and_found(
    wanted: Binding | None, previous: Binding | None, found: dict[str, Any] | None, verb: Verb
) -> None:
    assert decide(wanted, previous, found, ME).verb is verb


def test_a_refusal_names_the_account_who_made_it_and_the_way_out() -> None:
    found = _object(labels={"app.kubernetes.io/managed-by": "Helm"})

    step = decide(_binding(), None, found, ME)

    assert step.reason == (
        "apps/api must not exist before, got a service account managed by Helm; bind it with "
        "Ownership.ADOPT, which leaves it to whom it belongs"
    )


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (_made(owner=STRANGER), "bound by other#Batch0"),
        (_object({"k": "v"}, managers=[("kubectl", "Update")]), "written by kubectl"),
        (_object(), "of unknown origin"),
    ],
)
def test_a_refusal_tells_where_the_object_is_from(found: dict[str, Any], told: str) -> None:
    assert told in decide(_binding(), None, found, ME).reason


def test_a_dispute_names_the_value_and_its_manager() -> None:
    found = _object({ROLE: "x"}, managers=[("argocd", "Apply")])

    step = decide(_binding(ADOPT), None, found, ME)

    assert f"{ROLE}='x' (argocd)" in step.reason


def test_force_keeps_what_it_replaces_and_gives_it_back() -> None:
    found = _object({ROLE: "x"}, managers=[("argocd", "Apply")])
    forced = decide(_binding(ADOPT, force=True), None, found, ME)
    journal = forced.body["metadata"]["annotations"]["irsa-stack/undo"]

    released = decide(None, _binding(ADOPT), _adopted(**{"irsa-stack/undo": journal}), ME)

    assert json.loads(journal) == {"annotations": {ROLE: "x"}}
    assert released.body["metadata"]["annotations"][ROLE] == "x"


def test_an_account_taken_over_is_handed_back_until_the_other_lets_go() -> None:
    taken = decide(_binding(role="two"), None, _made(owner=SIBLING), ME)
    journal = taken.body["metadata"]["annotations"]["irsa-stack/undo"]
    now = _made("two", **{"irsa-stack/undo": journal})

    back = decide(None, _binding(role="two"), now, ME)
    let_go = decide(None, _binding(), now, Owner("stack", "Batch1"))

    assert back.verb is Verb.PATCH
    assert back.body["metadata"]["annotations"] == {
        ROLE: "one",
        "irsa-stack/owner": SIBLING,
        "irsa-stack/undo": None,
    }
    assert let_go.body["metadata"]["annotations"] == {"irsa-stack/undo": None}


def test_what_the_other_applied_and_we_do_not_is_handed_back_too() -> None:
    key = "example.com/key"
    found = _adopted(owner=SIBLING, **{key: "x"})

    taken = decide(_binding(ADOPT, "two"), None, found, ME)
    written = taken.body["metadata"]["annotations"]
    back = decide(None, _binding(ADOPT, "two"), _adopted("two", **written), ME)

    assert key not in written
    assert back.body["metadata"]["annotations"] == {
        ROLE: "one",
        key: "x",
        "irsa-stack/owner": SIBLING,
        "irsa-stack/undo": None,
    }


def test_a_key_that_is_no_longer_asked_for_goes() -> None:
    found = _made(**{"eks.amazonaws.com/audience": "x"})

    step = decide(_binding(), _binding(), found, ME)

    assert step.body["metadata"]["annotations"] == {"eks.amazonaws.com/audience": None}


def test_what_others_put_on_our_object_stays() -> None:
    found = _made()
    found["metadata"]["annotations"]["theirs"] = "x"

    assert decide(_binding(), _binding(), found, ME).verb is Verb.NOTHING


def test_our_own_patch_does_not_stand_in_the_way_of_our_apply() -> None:
    found = _object({ROLE: "one", "irsa-stack/owner": ME.mark}, managers=[("irsa-stack", "Update")])

    step = decide(_binding(ADOPT, "two"), _binding(ADOPT), found, ME)

    assert step.force
    assert step.body["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]


MAKE = Step(Verb.CREATE, _made())
TO_TWO = Step(Verb.PATCH, {"metadata": {"annotations": {ROLE: "two"}}})


@pytest.mark.parametrize(
    ("before", "step", "now", "verb"),
    [
        (None, MAKE, _made(), Verb.DELETE),
        (None, MAKE, None, Verb.NOTHING),
        (None, MAKE, _made(owner=SIBLING), Verb.NOTHING),
        (None, MAKE, _object(), Verb.NOTHING),
        (_made(), Step(Verb.DELETE), None, Verb.CREATE),
        (_made(), Step(Verb.DELETE), _made(), Verb.NOTHING),
        (_made("one"), TO_TWO, _made("two"), Verb.PATCH),
        # Sent, and never done.
        (_made("one"), TO_TWO, _made("one"), Verb.NOTHING),
        (_made("one"), TO_TWO, _made("hand"), Verb.NOTHING),
        (_made("one"), TO_TWO, {**_made("two"), "metadata": {"uid": "another"}}, Verb.NOTHING),
    ],
)
def test_undoes_what_was_sent_as_far_as_it_is_still_there(
    before: dict[str, Any] | None, step: Step, now: dict[str, Any] | None, verb: Verb
) -> None:
    assert undo(before, step, now).verb is verb


def test_undoing_an_application_gives_back_what_it_dropped_and_takes_what_it_added() -> None:
    before = _adopted(owner=SIBLING, dropped="x")
    step = decide(_binding(ADOPT, "two"), None, before, ME)
    now = _adopted("two", **{"irsa-stack/undo": step.body["metadata"]["annotations"][UNDO]})

    assert undo(before, step, now).body["metadata"]["annotations"] == {
        ROLE: "one",
        OWNER: SIBLING,
        "dropped": "x",
        UNDO: None,
    }


def test_every_change_is_of_the_version_that_it_was_decided_on() -> None:
    """F5: both of two stacks read the account unbound."""
    found = _object()

    step = decide(_binding(ADOPT), None, found, ME)

    assert step.body["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]


@pytest.mark.parametrize("mark", [SIBLING, STRANGER])
def test_the_former_owner_lets_go_across_stacks_as_well(mark: str) -> None:
    """F12: B took over from A with force, A is deleted, B is deleted."""
    undo_journal = json.dumps({"annotations": {OWNER: ME.mark, ROLE: "one"}})
    taken = _adopted("two", owner=mark, **{UNDO: undo_journal})

    step = decide(None, _binding(ADOPT), taken, ME)

    assert step.body["metadata"]["annotations"] == {UNDO: None}


@pytest.mark.parametrize(
    "journal", ["{", "[]", '{"annotations":5}', '"x"', '{"annotations":{"k":5}}', '{"a":{}}']
)
def test_a_journal_that_somebody_broke_is_no_journal(journal: str) -> None:
    """One tenant must not block the release of all."""
    step = decide(None, _binding(ADOPT), _adopted(**{UNDO: journal}), ME)

    assert step.body["metadata"]["annotations"][ROLE] is None


@pytest.mark.parametrize("mark", [SIBLING, STRANGER])
def test_what_a_rebinding_of_aws_node_holds_is_refused_even_with_force(mark: str) -> None:
    found = _adopted(owner=mark, **{"irsa-stack/detached-policies": "{}"})

    step = decide(_binding(ADOPT, force=True), None, found, ME)

    assert step.verb is Verb.REFUSE
    assert step.reason.endswith("an AwsNodeRebinding; remove that one, deploy, then add this one")


def test_the_rollback_of_a_change_that_was_refused_is_not_refused() -> None:
    """F18: somebody took our marks off an account that is ours."""
    unmarked = _object({ROLE: "one"})

    assert decide(_binding(role="two"), _binding(), unmarked, ME).verb is Verb.REFUSE
    assert decide(_binding(), _binding(role="two"), unmarked, ME).verb is Verb.LEAVE


def test_a_value_that_was_given_back_is_not_taken_again() -> None:
    """The rollback was killed after it gave back what `force` had replaced, and is tried again."""
    given_back = _object({ROLE: "theirs"}, managers=[("irsa-stack", "Update")])

    assert decide(None, _binding(ADOPT), given_back, ME).verb is Verb.NOTHING


def test_a_role_of_an_update_that_was_killed_goes_with_our_mark() -> None:
    step = decide(None, _binding(ADOPT), _adopted("two"), ME)

    assert step.body["metadata"]["annotations"] == {ROLE: None, OWNER: None}
