"""The function's properties."""

from __future__ import annotations

import pytest

from aws_node.rebinding import Attachment, Rebinding
from custom_resource import Failure

ROLE = "arn:aws:iam::111122223333:role/aws-node"


def test_reads_what_the_construct_passes() -> None:
    given = {
        "Cluster": {"Name": "payments-prod"},
        "RoleArn": ROLE,
        "NodeRoleNames": ["nodes", "spot"],
        "PolicyArns": ["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"],
        "RolloutTimeoutSeconds": "120",
    }

    assert Rebinding.from_properties(given) == Rebinding(
        ROLE, ("nodes", "spot"), ("arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",), 120.0
    )


def test_only_the_role_must_be_given() -> None:
    assert Rebinding.from_properties({"RoleArn": ROLE}) == Rebinding(ROLE, (), (), 780.0)


def test_tells_all_faults_at_once() -> None:
    given = {"NodeRoleNames": "nodes", "PolicyArns": [""], "RolloutTimeoutSeconds": "soon"}

    with pytest.raises(Failure) as told:
        Rebinding.from_properties(given)

    assert str(told.value) == (
        "NodeRoleNames must be a list of texts, got 'nodes'; correct it; "
        "PolicyArns must be a list of texts, got ['']; correct it; "
        "RoleArn must be a role's ARN, got None; pass the role's own; "
        "RolloutTimeoutSeconds must be above 0, got 'soon'; give whole seconds"
    )


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "", None])
def test_refuses_a_timeout_that_is_none(seconds: str | None) -> None:
    with pytest.raises(Failure, match="RolloutTimeoutSeconds must be above 0"):
        Rebinding.from_properties({"RoleArn": ROLE, "RolloutTimeoutSeconds": seconds})


def test_every_policy_may_be_on_every_node_role() -> None:
    asked = Rebinding(ROLE, ("a", "b"), ("p", "q"))

    assert sorted(asked.attachments) == [
        Attachment("a", "p"),
        Attachment("a", "q"),
        Attachment("b", "p"),
        Attachment("b", "q"),
    ]
