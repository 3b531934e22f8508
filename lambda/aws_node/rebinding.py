"""The function's properties as typed values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from custom_resource import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROLLOUT_SECONDS = 780.0


class Attachment(NamedTuple):
    """A managed policy on a node role."""

    role: str
    policy: str


@dataclass(frozen=True)
class Rebinding:
    """What is asked for: the role of `aws-node`, and which node roles lose which policies."""

    role_arn: str
    node_role_names: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    rollout_seconds: float = _ROLLOUT_SECONDS

    @property
    def attachments(self) -> frozenset[Attachment]:
        """Every policy on every node role: what may be detached."""
        return frozenset(
            Attachment(role, policy) for role in self.node_role_names for policy in self.policy_arns
        )

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> Rebinding:
        """The rebinding that a custom resource's properties ask for.

        Raises:
            Failure: A property is malformed; all faults are named.
        """
        role_arn = properties.get("RoleArn")
        faults = [
            f"{name} must be a list of texts, got {properties[name]!r}; correct it"
            for name in ("NodeRoleNames", "PolicyArns")
            if not _is_list_of_names(properties.get(name, []))
        ]
        if not isinstance(role_arn, str) or ":role/" not in role_arn:
            faults.append(f"RoleArn must be a role's ARN, got {role_arn!r}; pass the role's own")
        timeout = properties.get("RolloutTimeoutSeconds", str(_ROLLOUT_SECONDS))
        if not _is_positive(timeout):
            faults.append(
                f"RolloutTimeoutSeconds must be above 0, got {timeout!r}; give whole seconds"
            )
        if faults:
            raise Failure("; ".join(faults))
        return cls(
            str(role_arn),
            tuple(properties.get("NodeRoleNames", [])),
            tuple(properties.get("PolicyArns", [])),
            float(timeout),
        )


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _is_positive(value: object) -> bool:
    try:
        return float(str(value)) > 0
    except ValueError:
        return False
