"""Whose the service account's annotations are, and what the journal says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aws_node.account_marks import (
    EVENTS,
    JOURNAL,
    application,
    is_made_by,
    is_written,
    journal_of,
    marks_of,
    newer_event,
    refusal,
    stamp_of,
    stamped,
    without_marks,
    without_role,
)
from aws_node.rebinding import Attachment, Rebinding
from kubernetes_api.owner import OWNER, Owner
from kubernetes_api.shared_keys import ROLE_ARN_ANNOTATION

ONE, TWO = "arn:aws:iam::111122223333:role/one", "arn:aws:iam::111122223333:role/two"
POLICY, TWIN = "arn:aws:iam::aws:policy/CNI", "arn:aws:iam::111122223333:policy/CNI6"
STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/app/1"
ME = Owner(STACK, "AwsNode")
WANTED = Rebinding(ONE, ("nodes",), (POLICY,))


def account(managers: dict[str, str] | None = None, **annotations: str) -> dict[str, Any]:
    """An account; `managers` says who wrote which key (`role`, `owner`, ...)."""
    keys = {"role": ROLE_ARN_ANNOTATION, "owner": OWNER, "journal": JOURNAL, "events": EVENTS}
    given = {keys[name]: value for name, value in annotations.items()}
    writers = managers or dict.fromkeys(annotations, "irsa-stack")
    fields = [
        {
            "manager": manager,
            "operation": "Apply" if manager == "irsa-stack" else "Update",
            "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{keys[name]}": {}}}},
        }
        for name, manager in writers.items()
    ]
    metadata = {
        "name": "aws-node",
        "namespace": "kube-system",
        "uid": "u",
        "resourceVersion": "7",
        "annotations": given,
        "managedFields": fields,
    }
    return {"metadata": metadata}


def loses_role(found: dict[str, Any]) -> bool:
    patch = without_role(found, WANTED)
    assert not patch or patch["metadata"]["annotations"] == {ROLE_ARN_ANNOTATION: None}
    return bool(patch)


def test_a_plain_account_is_not_refused() -> None:
    assert refusal(account(), WANTED, ME) == ""


def test_our_own_role_may_be_replaced() -> None:
    assert refusal(account(role=TWO, owner=ME.mark), WANTED, ME) == ""


def test_the_role_of_a_managed_add_on_is_refused_even_when_it_is_the_same() -> None:
    found = account({"role": "eks"}, role=ONE)

    assert (
        "got 'arn:aws:iam::111122223333:role/one' from the managed add-on vpc-cni; use AwsNodeAddon"
        in (refusal(found, WANTED, ME))
    )


def test_a_role_that_an_add_on_left_behind_is_refused_with_the_command_that_removes_it() -> None:
    assert refusal(account({"role": "eks"}, role=TWO), WANTED, ME).endswith(
        "if the add-on is gone and left the annotation, remove it (running pods keep their role): "
        "kubectl annotate serviceaccount aws-node --namespace kube-system "
        "eks.amazonaws.com/role-arn-"
    )


def test_the_role_that_somebody_else_set_is_refused_with_the_command_that_removes_it() -> None:
    reason = refusal(account({"role": "eksctl"}, role=TWO), WANTED, ME)

    assert (
        "must not have another role, got 'arn:aws:iam::111122223333:role/two' set by eksctl"
        in reason
    )
    assert "--namespace kube-system eks.amazonaws.com/role-arn-" in reason


def test_the_same_role_set_by_hand_is_not_refused() -> None:
    assert refusal(account({"role": "kubectl"}, role=ONE), WANTED, ME) == ""


@pytest.mark.parametrize("mark", [f"{STACK}#Renamed", "arn:aws:cloudformation:other#AwsNode"])
def test_what_another_resource_bound_is_refused_with_the_way_out(mark: str) -> None:
    assert refusal(account(owner=mark), WANTED, ME) == (
        f"kube-system/aws-node must be bound by one rebinding, got it bound by {mark}; remove that "
        "one, deploy, then add this one"
    )


def test_what_we_bound_is_not_refused() -> None:
    assert refusal(account(owner=ME.mark), WANTED, ME) == ""


@pytest.mark.parametrize(
    ("found", "known", "newer"),
    [
        ("", set(), ""),
        ("mine", set(), ""),
        ("mine old", {"old"}, ""),
        ("old", {"old"}, ""),
        ("other", set(), "other"),
        ("other old", {"old"}, "other"),
        # Delivered once more, when others have come since.
        ("other mine", {"other", "mine"}, "other"),
        ("mine/undo mine", {"mine"}, "mine/undo"),
    ],
)
def test_an_event_knows_whether_a_newer_one_has_begun(
    found: str, known: set[str], newer: str
) -> None:
    assert newer_event(account(events=found) if found else account(), "mine", known) == newer


def test_the_last_four_events_are_remembered() -> None:
    assert stamp_of(account(events="d c b a"), "e") == {EVENTS: "e d c b"}
    assert stamp_of(account(events="d c"), "c") == {EVENTS: "c d"}


def test_a_release_marks_only_what_is_bound() -> None:
    assert stamped(account(), "e") == {}
    assert stamped(account(owner=ME.mark), "e")["metadata"]["annotations"] == {EVENTS: "e"}


@pytest.mark.parametrize(
    ("found", "made"), [("a", True), ("a/undo a", True), ("b a", False), ("", True)]
)
def test_what_a_later_event_bound_is_not_of_the_creation_before(found: str, *, made: bool) -> None:
    assert is_made_by(account(events=found) if found else account(), "a") is made


def test_the_journal_comes_back_as_it_was_written() -> None:
    attachments = {Attachment("b", POLICY), Attachment("a", TWIN), Attachment("a", POLICY)}
    written = marks_of(WANTED, ME, attachments)

    assert json.loads(written[JOURNAL]) == {"a": [TWIN, POLICY], "b": [POLICY]}
    assert journal_of(account(journal=written[JOURNAL]), None) == attachments


def test_an_empty_journal_says_that_nothing_was_detached() -> None:
    assert journal_of(account(journal="{}"), WANTED) == frozenset()


@pytest.mark.parametrize("journal", ["", "gone", "[]", "3", '{"nodes":3}'])
def test_a_journal_that_is_lost_counts_everything_that_was_bound(journal: str) -> None:
    found = account(journal=journal) if journal else account()

    assert journal_of(found, WANTED) == {Attachment("nodes", POLICY)}
    assert journal_of(found, None) == frozenset()


def test_without_an_account_everything_that_was_bound_counts() -> None:
    assert journal_of(None, WANTED) == {Attachment("nodes", POLICY)}


def test_what_is_written_is_not_written_again() -> None:
    marks = marks_of(WANTED, ME, ())
    found = account(role=ONE, owner=ME.mark, journal="{}")

    assert is_written(found, marks)
    assert not is_written(found, {**marks, ROLE_ARN_ANNOTATION: TWO})


def test_a_role_that_somebody_else_wrote_is_written_again_to_be_ours() -> None:
    assert not is_written(account({"role": "kubectl"}, role=ONE), {ROLE_ARN_ANNOTATION: ONE})


def test_the_application_names_the_very_object() -> None:
    assert application(account(), {ROLE_ARN_ANNOTATION: ONE}) == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": "aws-node",
            "namespace": "kube-system",
            "uid": "u",
            "resourceVersion": "7",
            "annotations": {ROLE_ARN_ANNOTATION: ONE},
        },
    }


def test_the_role_that_was_bound_goes_unless_the_account_changed() -> None:
    assert without_role(account(role=ONE, owner=ME.mark, journal="{}"), WANTED) == {
        "metadata": {"resourceVersion": "7", "annotations": {ROLE_ARN_ANNOTATION: None}}
    }


def test_the_marks_go_unless_the_account_changed() -> None:
    assert without_marks(account(owner=ME.mark, journal="{}")) == {
        "metadata": {"resourceVersion": "7", "annotations": {OWNER: None, JOURNAL: None}}
    }
    assert without_marks(account({"role": "kubectl"}, role=TWO)) == {}


@pytest.mark.parametrize(
    ("writer", "role", "goes"),
    [
        ("irsa-stack", ONE, True),
        # Mid-update: another role than the one that was bound, but ours.
        ("irsa-stack", TWO, True),
        # It names a role that goes away, whoever wrote it too.
        ("kubectl", ONE, True),
        ("kubectl", TWO, False),
    ],
)
def test_a_role_that_somebody_changed_stays(writer: str, role: str, *, goes: bool) -> None:
    managers = {"role": writer, "owner": "irsa-stack"}

    assert loses_role(account(managers, role=role, owner=ME.mark)) is goes


def test_an_account_that_we_never_wrote_is_left() -> None:
    assert not loses_role(account({"role": "kubectl"}, role=ONE))
    assert not loses_role(account())
