"""What the pods' specs and states tell."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from aws_node.pods import (
    carries,
    credential_fault,
    is_of_template,
    nodes_of,
    pods_ending,
    pods_not_ready,
    pods_of,
    pods_without_role,
    running,
)

ROLE = "arn:aws:iam::111122223333:role/aws-node"
TOKEN = {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/var/run/secrets/token"}
OURS = {"name": "AWS_ROLE_ARN", "value": ROLE}


def spec(*environments: list[dict[str, str]]) -> dict[str, Any]:
    names = ("aws-node", "aws-eks-nodeagent")
    return {
        "nodeName": "node-1",
        "containers": [
            {"name": name, "env": env} for name, env in zip(names, environments, strict=False)
        ],
    }


def pod(name: str = "aws-node-abcde", *, owner: str = "1", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "ownerReferences": [{"uid": owner}], **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": spec([OURS, TOKEN]), "status": {}, **more}


@pytest.mark.parametrize(
    ("environments", "fault"),
    [
        ([[OURS, TOKEN]], ""),
        ([[OURS, TOKEN], [OURS, TOKEN]], ""),
        ([[]], "container aws-node has AWS_ROLE_ARN not set"),
        ([[OURS]], "container aws-node has no AWS_WEB_IDENTITY_TOKEN_FILE"),
        ([[OURS, {**TOKEN, "value": ""}]], "container aws-node has no AWS_WEB_IDENTITY_TOKEN_FILE"),
        (
            [[OURS, {"name": TOKEN["name"]}]],
            "container aws-node has no AWS_WEB_IDENTITY_TOKEN_FILE",
        ),
        (
            [[{"name": "AWS_ROLE_ARN", "value": "other"}, TOKEN]],
            "container aws-node has AWS_ROLE_ARN other",
        ),
        ([[OURS, TOKEN], []], "container aws-eks-nodeagent has AWS_ROLE_ARN not set"),
    ],
)
def test_every_container_must_have_the_role_and_a_token(
    environments: list[list[dict[str, str]]], fault: str
) -> None:
    assert credential_fault(spec(*environments), ROLE) == fault


def test_a_container_without_variables_has_no_role() -> None:
    assert credential_fault({"containers": [{"name": "aws-node"}]}, None) == ""


def test_one_container_with_the_role_makes_a_pod_carry_it() -> None:
    assert carries({"spec": spec([], [OURS])}, ROLE)
    assert not carries({"spec": spec([], [])}, ROLE)


@pytest.mark.parametrize(
    "other",
    [
        pod(owner="2"),
        pod(metadata={"deletionTimestamp": "2026-11-23T00:00:00Z"}),
        pod(metadata={"ownerReferences": None}),
        pod(status={"phase": "Failed"}),
        pod(status={"phase": "Succeeded"}),
    ],
)
def test_pods_of_others_and_pods_that_end_do_not_count(other: dict[str, Any]) -> None:
    mine = pod(status={"phase": "Running"})

    found = running(pods_of({"metadata": {"uid": "1"}}, [mine, other]))

    assert nodes_of(found) == ["node-1"]
    assert len(found) == 1


def test_a_pod_that_should_have_ended_is_named_with_its_node() -> None:
    now = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    late, ending = (
        pod(metadata={"deletionTimestamp": f"2026-11-{day}T00:00:00Z"}) for day in ("22", "24")
    )

    assert pods_ending([late, ending, pod()], now) == [
        "pod aws-node-abcde on node node-1: should have ended at 2026-11-22T00:00:00Z; repair or "
        "remove the node"
    ]


def test_names_the_nodes_once() -> None:
    waiting = {"spec": {"containers": []}}

    assert nodes_of([pod(), pod(), waiting]) == ["node-1"]


def test_a_pod_without_the_role_is_named_with_its_node() -> None:
    bare = {**pod("aws-node-xyz12"), "spec": spec([])}

    assert pods_without_role([pod(), bare], ROLE) == [
        "pod aws-node-xyz12 on node node-1: container aws-node has AWS_ROLE_ARN not set"
    ]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
            "ImagePullBackOff",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [
                    {"state": {"terminated": {"reason": "Error", "message": "no metadata"}}}
                ],
            },
            "Error no metadata",
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "message": "no node has room"}
                ]
            },
            "no node has room",
        ),
        ({"phase": "Pending", "conditions": []}, "Pending"),
        ({}, "not started"),
    ],
)
def test_a_pod_that_is_not_ready_says_why(status: dict[str, Any], reason: str) -> None:
    assert pods_not_ready([pod(status=status)]) == [f"pod aws-node-abcde on node node-1: {reason}"]


def test_a_ready_pod_is_no_hindrance() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}

    assert pods_not_ready([pod(status=ready)]) == []


@pytest.mark.parametrize(
    ("made", "wanted", "same"),
    [
        ({"role": ROLE}, {"role": ROLE}, True),
        ({"role": ROLE, "other": "1"}, {"role": ROLE}, True),
        ({"role": ROLE}, {"role": ROLE, "restarted": "1"}, False),
        ({"role": ROLE, "restarted": "1"}, {"role": ROLE, "restarted": "2"}, False),
        ({"role": ROLE}, {}, False),
        ({}, {"role": ROLE}, False),
        (None, None, True),
    ],
)
def test_a_pod_is_of_the_template_whose_marks_it_has(
    made: dict[str, str] | None, wanted: dict[str, str] | None, *, same: bool
) -> None:
    template = {"metadata": {"annotations": wanted}}

    found = is_of_template({"metadata": {"annotations": made}}, template, ("role", "restarted"))

    assert found is same
