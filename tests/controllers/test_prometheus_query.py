import pytest

from irsa_stack.controllers import PrometheusQuery
from irsa_stack.faults import InvalidInput
from tests.support.controllers import OTHER_ACCOUNT, arn, documents
from tests.support.iam_evaluator import allowed

OURS, THEIRS = arn("aps", "workspace/ws-0a1b"), arn("aps", "workspace/ws-9f9f")
ROLE = "arn:aws:iam::444455556666:role/metrics"
SPECS = {
    "everything": lambda location: PrometheusQuery(
        workspaces=[location.arn("aps", "workspace/ws-0a1b")],
        assume_roles=[f"arn:{location.partition}:iam::444455556666:role/metrics"],
    ),
}
GIVEN = ["QueryMetrics", "GetSeries", "GetLabels", "GetMetricMetadata"]
NOT_GIVEN = [
    "RemoteWrite",
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
def test_reads_its_workspace_and_writes_none(action, resource, expected):
    held = documents(PrometheusQuery(workspaces=[OURS]))
    assert allowed(held, f"aps:{action}", resource) is expected


def test_reaches_other_accounts_through_their_roles_only():
    held = documents(PrometheusQuery(assume_roles=[ROLE]))
    assert allowed(held, "sts:AssumeRole", ROLE)
    assert not allowed(held, "sts:AssumeRole", ROLE + "-admin")
    assert not any(allowed(held, f"aps:{action}", OURS) for action in GIVEN)


@pytest.mark.parametrize("wrong", [[], ["*"], ["ws-0a1b"], [OURS[:-4] + "*"], OURS])
def test_refuses_a_scope_that_is_none(wrong):
    with pytest.raises(InvalidInput, match="workspaces must"):
        PrometheusQuery(workspaces=wrong)


UPSTREAM = "aps:GetLabels aps:GetMetricMetadata aps:GetSeries aps:QueryMetrics"
ADDED = {"sts:AssumeRole": "the data source's role, for other accounts"}
