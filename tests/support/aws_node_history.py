"""Histories of one custom resource that CloudFormation and Lambda may bring about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.support.aws_node import ONE, TWO

if TYPE_CHECKING:
    from random import Random

BOUND = "rehearsal/aws-node"
# What CloudFormation calls a resource whose creation never answered.
UNANSWERED = "stack-AwsNode-1ABCDEFGHIJKL"
NODE_ROLES = ("nodes", "spot", "more-1", "more-2", "more-3", "more-4")


@dataclass(frozen=True)
class Delivery:
    """One event as the function gets it.

    Attributes:
        after: seconds after the delivery before it.
        killed_after: at how many-th of its waits and requests the function is killed; None: never.
    """

    event: str
    kind: str
    role: str = ONE
    nodes: tuple[str, ...] = NODE_ROLES
    old_role: str = ONE
    old_nodes: tuple[str, ...] = NODE_ROLES
    physical_id: str = BOUND
    after: float = 0.0
    killed_after: int | None = None

    def properties(self, **common: Any) -> dict[str, Any]:
        """What is asked for."""
        return {**common, "RoleArn": self.role, "NodeRoleNames": list(self.nodes)}

    def old_properties(self, **common: Any) -> dict[str, Any]:
        """What was asked for before."""
        return {**common, "RoleArn": self.old_role, "NodeRoleNames": list(self.old_nodes)}


def history(random: Random, seconds: float, longest_kill: int = 120) -> list[Delivery]:
    """A creation that is cancelled, repeated or followed by updates, and a deletion.

    Args:
        random: Decides.
        seconds: How long a creation takes. What overlaps begins mostly near its end, where the
            node roles lose their policies.
        longest_kill: A killed function is killed at one of so many waits and requests.
    """
    long = 4 * seconds

    def soon() -> float:
        near_the_end = abs(random.gauss(0.75 * seconds, seconds / 5))
        return random.choice((random.uniform(0.0, seconds), near_the_end))

    create = Delivery("create", "Create")
    kind = random.choice(("cancelled", "repeated", "updated", "deleted twice"))
    if kind == "cancelled":
        found = [create, Delivery("delete", "Delete", physical_id=UNANSWERED, after=soon())]
    elif kind == "repeated":
        found = [create, replace(create, after=soon())]
    elif kind == "updated":
        role, nodes = random.choice(
            ((TWO, NODE_ROLES), (ONE, NODE_ROLES[:1]), (TWO, NODE_ROLES[1:]), (ONE, NODE_ROLES[3:]))
        )
        update = Delivery("update", "Update", role, nodes, after=long)
        back = Delivery("rollback", "Update", old_role=role, old_nodes=nodes, after=soon())
        late = replace(update, after=soon() * random.choice((1, 3)))
        found = [create, update, back, late]
    else:
        delete = Delivery("delete", "Delete", after=long)
        found = [create, delete, replace(delete, after=soon())]
    return [_perhaps_killed(random, delivery, longest_kill) for delivery in found]


def _perhaps_killed(random: Random, delivery: Delivery, longest_kill: int) -> Delivery:
    if random.random() > 0.3:
        return delivery
    return replace(delivery, killed_after=random.randrange(longest_kill))
