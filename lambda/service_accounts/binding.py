"""What is asked for of one service account. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kubernetes_api.shared_keys import ROLE_ARN_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Mapping

# On the account, until its consumers are restarted for its role: see `service_accounts.consumers`.
RESTART_DUE = "irsa-stack/restart-due"
CREATE = "CREATE"
ADOPT = "ADOPT"


@dataclass(frozen=True)
class Binding:
    """One service account as it is to be."""

    namespace: str
    name: str
    ownership: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    restart: tuple[str, ...] = ()
    force: bool = False
    create_namespace: bool = False

    @property
    def key(self) -> str:
        """`<namespace>/<name>`, by which messages and properties name the account."""
        return f"{self.namespace}/{self.name}"

    @property
    def keys(self) -> dict[str, dict[str, str]]:
        """The labels and annotations asked for."""
        return {"labels": dict(self.labels), "annotations": dict(self.annotations)}

    @property
    def with_restart_due(self) -> Binding:
        """The same while its consumers are not restarted yet."""
        return replace(self, annotations={**self.annotations, RESTART_DUE: "true"})

    @property
    def role_arn(self) -> str:
        """The role, as the annotation names it; empty without one."""
        return self.annotations.get(ROLE_ARN_ANNOTATION, "")
