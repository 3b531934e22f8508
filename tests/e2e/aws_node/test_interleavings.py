"""Events that overlap, come twice, late, or are killed, on real API servers in real time.

`INTERLEAVINGS=200` plays that many; `SEED=17` one. A seed decides the history and who is killed
when; how the threads meet is up to the machine. Exact orders are played on the small cluster.
"""

from __future__ import annotations

import os
import threading
import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from aws_node import transaction
from aws_node.node_roles import NodeRoles
from custom_resource import Failure
from kubernetes_api.connection import Api
from tests.support.aws_node import CNI_POLICY, JOURNAL, WORKER_POLICY
from tests.support.aws_node_history import BOUND, NODE_ROLES, UNANSWERED, Delivery, history
from tests.support.interleaving import Killed

if TYPE_CHECKING:
    from tests.support.aws_node import AwsNode

COUNT = int(os.environ.get("INTERLEAVINGS", "6"))
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(COUNT)
# A creation takes about so long here; the waits are shorter than in AWS, and so are its requests.
_SECONDS = 2.5


class Play:
    """One history in real time."""

    def __init__(self, node: AwsNode, patch: pytest.MonkeyPatch) -> None:
        self.node = node
        self.answers: list[str] = []
        self.broken: list[BaseException] = []
        self._left = threading.local()
        request, ask = Api.request, NodeRoles._ask

        def counted_request(api: Api, *args: Any, **named: Any) -> Any:
            self._count()
            return request(api, *args, **named)

        def counted_ask(roles: NodeRoles, *args: Any, **named: Any) -> Any:
            self._count()
            return ask(roles, *args, **named)

        patch.setattr(Api, "request", counted_request)
        patch.setattr(NodeRoles, "_ask", counted_ask)

    def perform(self, deliveries: list[Delivery]) -> None:
        """Let all happen, and wait for the end of it."""
        threads = []
        for delivery in deliveries:
            time.sleep(delivery.after)
            threads.append(threading.Thread(target=self._work, args=(delivery,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _count(self) -> None:
        left = getattr(self._left, "count", None)
        if left is not None:
            self._left.count = left - 1
            if left <= 0:
                raise Killed

    def _work(self, delivery: Delivery) -> None:
        self._left.count = delivery.killed_after
        common = self.node.properties(RolloutTimeoutSeconds="30")
        try:
            self.node.deploy(
                delivery.kind,
                delivery.properties(**common),
                delivery.old_properties(**common),
                physical_id=delivery.physical_id,
                event=delivery.event,
            )
        except Failure as failure:
            self.answers.append(f"{delivery.event}: {failure}")
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.broken.append(error)
        else:
            self.answers.append(f"{delivery.event}: SUCCESS")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cni_can_run_at_every_moment_and_a_delete_gives_all_back(
    aws_node: AwsNode, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(seed)  # noqa: S311 - to be repeated
    told, node = f"SEED={seed}", aws_node
    monkeypatch.setattr(transaction, "IAM_SETTLE_SECONDS", 1.0)
    node.iam.roles = {role: [WORKER_POLICY, CNI_POLICY] for role in NODE_ROLES}
    before, play = node.state(), Play(node, monkeypatch)

    with node.watched():
        play.perform(history(random, _SECONDS, longest_kill=60))
        roles = node.iam.roles.items()
        without = {name for name, policies in roles if CNI_POLICY not in policies}
        assert all(name in node.annotations.get(JOURNAL, "") for name in without), told
        last = Delivery("last", "Delete", physical_id=random.choice((BOUND, UNANSWERED)))
        play.perform([last])

    assert (told, play.broken) == (told, [])
    assert play.answers[-1] == "last: SUCCESS", (told, play.answers)
    assert (told, node.state()) == (told, {**before, "node roles": node.state()["node roles"]})
    assert all(CNI_POLICY in policies for policies in node.iam.roles.values()), told
