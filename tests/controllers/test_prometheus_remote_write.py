import pytest

from irsa_stack.controllers import PrometheusRemoteWrite
from irsa_stack.faults import InvalidInput
from tests.support.controllers import OTHER_ACCOUNT, arn, documents
from tests.support.iam_evaluator import allowed

OURS, THEIRS = arn("aps", "workspace/ws-0a1b"), arn("aps", "workspace/ws-9f9f")
ROLE = "arn:aws:iam::444455556666:role/metrics"
SPECS = {
    "everything": lambda location: PrometheusRemoteWrite(
        workspaces=[location.arn("aps", "workspace/ws-0a1b")],
        assume_roles=[f"arn:{location.partition}:iam::444455556666:role/metrics"],
    ),
}
GIVEN = ["RemoteWrite"]
NOT_GIVEN = [
    "QueryMetrics",
    "GetSeries",
    "GetLabels",
    "CreateWorkspace",
    "DeleteWorkspace",
    "UpdateWorkspaceAlias",
    "PutRuleGroupsNamespace",
    "PutAlertManagerDefinition",
    "CreateAlertManagerSilences",
    "DescribeWorkspace",
]


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        *((action, OURS, True) for action in GIVEN),
        *((action, OURS, False) for action in NOT_GIVEN),
        *(
            (action, resource, False)
            for action in GIVEN
            for resource in (
                THEIRS,  # another team's
                arn("aps", "workspace/ws-0a1b", account=OTHER_ACCOUNT),
                arn("aps", "workspace/ws-0a1b", region="us-east-1"),
                arn("aps", "workspace/ws-0a1b2"),
                arn("aps", "rulegroupsnamespace/ws-0a1b/a"),
                "*",
            )
        ),
    ],
)
def test_writes_to_its_workspace_and_reads_none(action, resource, expected):
    held = documents(PrometheusRemoteWrite(workspaces=[OURS]))
    assert allowed(held, f"aps:{action}", resource) is expected


def test_reaches_other_accounts_through_their_roles_only():
    held = documents(PrometheusRemoteWrite(assume_roles=[ROLE]))
    assert allowed(held, "sts:AssumeRole", ROLE)
    assert not allowed(held, "sts:AssumeRole", ROLE + "-admin")
    assert not any(allowed(held, f"aps:{action}", OURS) for action in GIVEN)


@pytest.mark.parametrize("wrong", [[], ["*"], ["ws-0a1b"], [OURS[:-4] + "*"], OURS])
def test_refuses_a_scope_that_is_none(wrong):
    with pytest.raises(InvalidInput, match="workspaces must"):
        PrometheusRemoteWrite(workspaces=wrong)


UPSTREAM = "aps:RemoteWrite"
ADDED = {"sts:AssumeRole": "role_arn of remote_write, for other accounts"}
