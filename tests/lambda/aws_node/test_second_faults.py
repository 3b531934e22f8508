"""The second faults on the small cluster, and what only that can play."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubernetes_api.restart import template_role
from tests.support.aws_node import CNI_POLICY, DAEMON_SET, PODS, journal
from tests.support.aws_node_second_faults import *  # noqa: F403 - the tests

if TYPE_CHECKING:
    from tests.support.small_cluster import SmallAwsNode


def test_a_node_that_is_down_is_named(aws_node: SmallAwsNode) -> None:
    """F23, A16: its pod ends for ever, and was in no reason."""
    aws_node.deploy("Create")
    victim = aws_node.pods[-1]
    ending = {"metadata": {"deletionTimestamp": "2026-11-28T20:00:00Z"}}

    def down(method: str, path: str) -> None:
        if (method, path) == ("PATCH", DAEMON_SET):
            aws_node.server.edit(f"{PODS}/{victim['metadata']['name']}", ending)

    aws_node.server.trouble = down
    reason = aws_node.deploy_failing("Delete", aws_node.properties(RolloutTimeoutSeconds="0.3"))

    name, on = victim["metadata"]["name"], victim["spec"]["nodeName"]
    assert f"pod {name} on node {on}: should have ended at 2026-11-28T20:00:00Z" in reason
    assert journal(aws_node) == {"nodes": [CNI_POLICY], "spot": [CNI_POLICY]}
    assert template_role(aws_node.server.objects[DAEMON_SET]) is None
