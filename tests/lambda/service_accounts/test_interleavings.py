"""Events of one batch that overlap, come twice, or are killed: one of the states asked for is left.

A seed decides who comes when, how long each request takes, and who is killed; on the clock of the
stage the waits are as long as in AWS. `SEED=17 pytest ...` repeats one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

import custom_resource
from custom_resource import Deadline, Failure, Request
from kubernetes_api import connection, deadline_part
from kubernetes_api.connection import Api
from service_accounts import binder, on_event
from tests.support.binder import LOGICAL_ID, ONE, ROLE, TWO, account
from tests.support.cloudformation import STACK_ID
from tests.support.interleaving import Stage
from tests.support.small_cluster import Administrator, SmallCluster

if TYPE_CHECKING:
    from random import Random

    from kubernetes_api.cluster import Cluster

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(200)
ACCOUNTS = "/api/v1/namespaces/apps/serviceaccounts"
THEIRS = f"{ACCOUNTS}/theirs"
FOREIGN = {"metadata": {"annotations": {"example.com/key": "theirs"}}}
BOUND, UNANSWERED = "cluster/Batch0", "stack-Batch0-1ABCDEFGHIJKL"
# An event of twelve accounts takes some 15 s; nothing of it pauses for as long as a Delete looks.
_SECONDS, _REQUEST_SECONDS = 15.0, 1.5


def asked(role: str) -> dict[str, Any]:
    own = {k: v for n in range(12) for k, v in account(f"apps/a{n:02}", role=role).items()}
    return {**own, **account("apps/theirs", "ADOPT", role)}


@dataclass(frozen=True)
class Delivery:
    """One event as the function gets it, so many seconds after the one before."""

    kind: str
    role: str = ONE
    old_role: str = ONE
    physical_id: str = BOUND
    after: float = 0.0
    killed_after: int | None = None


def history(random: Random) -> list[Delivery]:
    create = Delivery("Create")
    kind = random.choice(("cancelled", "repeated", "updated"))
    soon = random.uniform(0.0, 1.2 * _SECONDS)
    if kind == "cancelled":
        found = [create, Delivery("Delete", physical_id=UNANSWERED, after=soon)]
    elif kind == "repeated":
        found = [create, replace(create, after=soon)]
    else:
        update = Delivery("Update", TWO, after=120.0)
        back = Delivery("Update", old_role=TWO, after=soon)
        found = [create, update, back]
    return [
        replace(d, killed_after=random.randrange(40)) if random.random() < 0.2 else d for d in found
    ]


@pytest.fixture(scope="module")
def server() -> SmallCluster:
    return SmallCluster()


class Play:
    """One history on one stage."""

    def __init__(self, server: SmallCluster, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.stage = stage = Stage(seed)
        self.server = server
        self.answers: list[str] = []
        server.reset()
        server.put(THEIRS, FOREIGN)
        admin = Administrator(server)
        for module in (custom_resource, deadline_part, connection):
            patch.setattr(module, "time", stage.clock)

        class StagedApi(Api):
            def __init__(self, _: Cluster, deadline: Deadline, event_type: str = "Update") -> None:
                self.deadline = deadline
                self._patience = connection.PATIENCE[event_type]

            def __exit__(self, *_: object) -> None:
                pass

            def request(self, *args: Any, **named: Any) -> Any:
                stage.let_pass(stage.random.uniform(0.01, _REQUEST_SECONDS / 2))
                try:
                    return Administrator.request(admin, *args, **named)
                finally:
                    stage.let_pass(stage.random.uniform(0.01, _REQUEST_SECONDS / 2))

        patch.setattr(on_event, "Api", StagedApi)
        patch.setattr(binder, "random", stage.random)

    def perform(self, deliveries: list[Delivery]) -> None:
        begins = 0.0
        for delivery in deliveries:
            begins += delivery.after
            self.stage.begin(lambda d=delivery: self._work(d), begins, delivery.killed_after)
        self.stage.play()

    @property
    def roles(self) -> dict[str, str | None]:
        return {
            path.rpartition("/")[2]: thing["metadata"].get("annotations", {}).get(ROLE)
            for path, thing in self.server.objects.items()
            if path.startswith(ACCOUNTS)
        }

    def _work(self, delivery: Delivery) -> None:
        cluster = {"Cluster": self.server.connection}
        request = Request(
            delivery.kind,
            None if delivery.kind == "Create" else delivery.physical_id,
            {**cluster, "ServiceAccounts": asked(delivery.role)},
            {**cluster, "ServiceAccounts": asked(delivery.old_role)}
            if delivery.kind == "Update"
            else {},
            STACK_ID,
            LOGICAL_ID,
            "event",
        )
        try:
            on_event.work(request, Deadline(887.0))
        except Failure as failure:
            self.answers.append(f"{delivery.kind} {delivery.role}: {failure}")
        else:
            self.answers.append("SUCCESS")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_asked_for_last_is_left_whole_and_a_delete_leaves_nothing(
    server: SmallCluster, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    play, told = Play(server, seed, monkeypatch), f"SEED={seed}"
    deliveries = history(play.stage.random)

    play.perform(deliveries)

    assert (told, play.stage.broken) == (told, [])
    killed = any(delivery.killed_after is not None for delivery in deliveries)
    if not killed:
        assert len(play.answers) == len(deliveries), told
        roles = set(play.roles.values())
        assert len(roles) == 1 or play.roles == {"theirs": None}, (told, play.roles, play.answers)
    if not killed and deliveries[-1].kind == "Delete":
        assert (told, play.roles) == (told, {"theirs": None})

    play.perform([Delivery("Delete", physical_id=play.stage.random.choice((BOUND, UNANSWERED)))])

    assert play.answers[-1] == "SUCCESS", (told, play.answers)
    assert (told, play.roles) == (told, {"theirs": None})
    annotations = server.objects[THEIRS]["metadata"]["annotations"]
    assert annotations == FOREIGN["metadata"]["annotations"], told
