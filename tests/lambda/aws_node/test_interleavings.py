"""Events that overlap, come twice, late, or are killed: the CNI can run at every moment.

A seed decides the history, how long each request takes, and who is killed when; on the clock of
the stage the waits are as long as in AWS. `SEED=17 pytest ...` repeats one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

import custom_resource
from aws_node import node_roles, on_event
from aws_node.node_roles import NodeRoles
from custom_resource import Deadline, Failure
from kubernetes_api import connection, deadline_part
from kubernetes_api.connection import Api
from tests.support.aws_node import CNI_POLICY, JOURNAL, WORKER_POLICY
from tests.support.aws_node_history import BOUND, NODE_ROLES, UNANSWERED, Delivery, history
from tests.support.iam_server import IamServer
from tests.support.interleaving import Stage
from tests.support.small_cluster import Administrator, SmallAwsNode, SmallCluster

if TYPE_CHECKING:
    from kubernetes_api.cluster import Cluster

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(200)
# A detachment that has been checked for is carried out within the time that policies get to count.
_KUBERNETES_SECONDS, _IAM_SECONDS = 1.0, 3.0
_CREATION_SECONDS = 37.0


@pytest.fixture(scope="module")
def server() -> SmallCluster:
    return SmallCluster()


class Play:
    """One history on one stage."""

    def __init__(self, server: SmallCluster, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.stage = stage = Stage(seed)
        self.answers: list[str] = []
        self._refused = ("", "")
        server.reset()
        iam = IamServer({role: [WORKER_POLICY, CNI_POLICY] for role in NODE_ROLES})
        self.node = node = SmallAwsNode.on(server, iam)
        for module in (custom_resource, deadline_part, connection, node_roles):
            patch.setattr(module, "time", stage.clock)

        def take_time(most: float) -> None:
            stage.let_pass(stage.random.uniform(0.01, most))

        class StagedApi(Api):
            def __init__(self, _: Cluster, deadline: Deadline, event_type: str = "Update") -> None:
                self.deadline = deadline
                self._patience = connection.PATIENCE[event_type]

            def __exit__(self, *_: object) -> None:
                pass

            def request(self, method: str, path: str, *args: Any, **named: Any) -> Any:
                take_time(_KUBERNETES_SECONDS / 2)
                server._control()
                try:
                    return Administrator.request(node.cluster.admin, method, path, *args, **named)
                finally:
                    node._look(node.cluster.admin)
                    take_time(_KUBERNETES_SECONDS / 2)

        def ask(_: NodeRoles, operation: str, **named: str) -> dict[str, Any] | None:
            take_time(_IAM_SECONDS / 2)
            action = operation.title().replace("_", "")
            if self._refused == (action, named["RoleName"]):
                self._refused = ("", "")
                raise Failure("denied")
            status, said = iam._answer({"Action": action, **named})
            node._look(node.cluster.admin)
            take_time(_IAM_SECONDS / 2)
            if status == 403:
                raise Failure(said.decode())
            listed = [{"PolicyArn": arn} for arn in iam.roles.get(named["RoleName"], ())]
            return {"IsTruncated": False, "AttachedPolicies": listed} if status == 200 else None

        patch.setattr(on_event, "Api", StagedApi)
        patch.setattr(NodeRoles, "_ask", ask)

    def perform(self, deliveries: list[Delivery]) -> None:
        """Let all happen, and wait for the end of it."""
        begins = 0.0
        for delivery in deliveries:
            begins += delivery.after
            self.stage.begin(lambda d=delivery: self._work(d), begins, delivery.killed_after)
        self.stage.play()

    def refuse_once(self, action: str, role: str) -> None:
        """Let IAM refuse one of the calls of a kind."""
        self._refused = (action, role)

    def _work(self, delivery: Delivery) -> None:
        common = self.node.properties(RolloutTimeoutSeconds="780")
        try:
            self.node.deploy(
                delivery.kind,
                delivery.properties(**common),
                delivery.old_properties(**common),
                physical_id=delivery.physical_id,
                event=delivery.event,
                seconds=887.0,
            )
        except Failure as failure:
            self.answers.append(f"{delivery.event}: {failure}")
        else:
            self.answers.append(f"{delivery.event}: SUCCESS")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cni_can_run_at_every_moment_and_a_delete_gives_all_back(
    server: SmallCluster, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(server, seed, monkeypatch)
    before, told = play.node.state(), f"SEED={seed}"
    deliveries = history(play.stage.random, _CREATION_SECONDS)
    if play.stage.random.random() < 0.3:
        play.refuse_once("DetachRolePolicy", play.stage.random.choice(NODE_ROLES))

    play.perform(deliveries)

    assert (told, play.stage.broken) == (told, [])
    assert (told, play.node.violations) == (told, [])
    answered = sum(delivery.killed_after is None for delivery in deliveries)
    assert len(play.answers) >= answered, told
    without = {name for name, policies in play.node.iam.roles.items() if CNI_POLICY not in policies}
    assert all(name in play.node.annotations.get(JOURNAL, "") for name in without), told

    last = Delivery("last", "Delete", physical_id=play.stage.random.choice((BOUND, UNANSWERED)))
    play.perform([last])

    assert play.answers[-1] == "last: SUCCESS", told
    assert (told, play.node.violations) == (told, [])
    assert play.node.state() == {**before, "node roles": play.node.state()["node roles"]}, told
    assert all(CNI_POLICY in policies for policies in play.node.iam.roles.values()), told
