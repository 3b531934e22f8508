"""What is asked for a service account of a cluster, judged before anything is made of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from irsa_stack.faults import InvalidInput, no_list_faults
from irsa_stack.kubernetes.binding_rules import binding_faults, restart_faults
from irsa_stack.kubernetes.identity import ServiceAccountIdentity
from irsa_stack.kubernetes.service_account_manifest import (
    metadata_faults,
    token_expiration_faults,
    webhook_annotations,
)

_T = TypeVar("_T")


class Ownership(StrEnum):
    """Say whose object a service account is."""

    CREATE = "CREATE"
    """Ours: made with the stack, and removed with it."""
    ADOPT = "ADOPT"
    """Somebody else's: we own our annotations on it, and removing us removes only those."""
    HELM = "HELM"
    """A chart's: nothing is applied, the chart's values are emitted."""
    NONE = "NONE"
    """Not our concern: a role only."""

    @property
    def is_applied(self) -> bool:
        """Whether the cluster's object is ours to write."""
        return self in (Ownership.CREATE, Ownership.ADOPT)

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise InvalidInput(
            [f"ownership must be of {', '.join(cls)}, got {value!r}; correct it"],
        )


@dataclass(frozen=True, kw_only=True)
class ServiceAccountRequest:
    """A service account as it is wanted; `read` makes one of what a user wrote."""

    identity: ServiceAccountIdentity
    ownership: Ownership
    restart: tuple[str, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    create_namespace: bool
    force: bool
    token_expiration: float | None
    regional_sts: bool | None
    helm_values_path: str

    @staticmethod
    def read(
        service_account: ServiceAccountIdentity | str,
        *,
        ownership: Ownership | str,
        restart: Sequence[str],
        labels: Mapping[str, str] | None,
        annotations: Mapping[str, str] | None,
        create_namespace: bool,
        force: bool,
        token_expiration: float | None,
        regional_sts: bool | None,
        helm_values_path: str,
    ) -> tuple["ServiceAccountRequest | None", list[str]]:
        """Return the request, or None, and why it could not be met; see `ServiceAccounts.add`."""
        identity, faults = _read(_identity, service_account)
        whose, more = _read(Ownership, ownership)
        labels, annotations = labels or {}, annotations or {}
        faults += [
            *more,
            *token_expiration_faults(token_expiration),
            *metadata_faults(labels=labels, annotations=annotations),
        ]
        if whose is None:
            faults += restart_faults(restart)
        else:
            faults += binding_faults(
                whose,
                force=force,
                create_namespace=create_namespace,
                restart=restart,
                labels=labels,
                annotations=annotations,
            )
        if identity is None or whose is None or no_list_faults(restart, of="restart"):
            return None, faults
        return ServiceAccountRequest(
            identity=identity,
            ownership=whose,
            restart=tuple(restart),
            labels=labels,
            annotations=annotations,
            create_namespace=create_namespace,
            force=force,
            token_expiration=token_expiration,
            # The objects of others say themselves which STS their pods call, unless we are asked.
            regional_sts=(
                None
                if regional_sts is None and whose is Ownership.ADOPT
                else regional_sts is not False
            ),
            helm_values_path=helm_values_path,
        ), faults

    def webhook_annotations(self, *, role_arn: str, audience: str | None) -> dict[str, str]:
        """Return the annotations that give its pods the role; *audience* if it is a special one."""
        return webhook_annotations(
            role_arn=role_arn,
            audience=audience,
            regional_sts=self.regional_sts,
            token_expiration=self.token_expiration,
        )

    def helm_values(self, annotations: Mapping[str, str]) -> dict[str, Any]:
        """Return what a chart needs to use the object, or to make it with *annotations*."""
        values: dict[str, Any] = {"create": False, "name": self.identity.name}
        if self.ownership is Ownership.HELM:
            values = {**values, "create": True, "annotations": {**self.annotations, **annotations}}
        for key in reversed(self.helm_values_path.split(".")):
            values = {key: values}
        return values


def _identity(value: ServiceAccountIdentity | str) -> ServiceAccountIdentity:
    if isinstance(value, ServiceAccountIdentity):
        return value
    return ServiceAccountIdentity.parse(value)


def _read(kind: Callable[..., _T], value: object) -> tuple[_T | None, list[str]]:
    """Return what *value* stands for, or why it stands for nothing."""
    try:
        return kind(value), []
    except InvalidInput as error:
        return None, list(error.faults)
