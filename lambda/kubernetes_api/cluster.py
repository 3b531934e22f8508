"""How a cluster is reached, as a custom resource's properties say. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from custom_resource import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Cluster:
    """How to reach a cluster."""

    name: str
    endpoint: str
    certificate_authority_data: str

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> Cluster:
        """The `Cluster` property of a custom resource.

        Raises:
            Failure: A part is missing or malformed; all faults are named.
        """
        given = properties.get("Cluster")
        given = given if isinstance(given, dict) else {}
        parts = ("Name", "Endpoint", "CertificateAuthorityData")
        missing = [f"Cluster.{part}" for part in parts if not given.get(part)]
        if missing:
            names = ", ".join(missing)
            raise Failure(f"{names} must be given, got nothing; pass the cluster's own")
        cluster = cls(*(str(given[part]) for part in parts))
        faults = []
        if not cluster.endpoint.startswith("https://"):
            faults.append(f"Cluster.Endpoint must start with https://, got {cluster.endpoint!r}")
        if not _is_pem(cluster.certificate_authority_data):
            faults.append(
                "Cluster.CertificateAuthorityData must be base64 of PEM, got "
                f"{cluster.certificate_authority_data[:40]!r}"
            )
        if faults:
            raise Failure("; ".join(faults) + "; pass what `aws eks describe-cluster` says")
        return cluster


def _is_pem(data: str) -> bool:
    try:
        return b"BEGIN CERTIFICATE" in base64.b64decode(data, validate=True)
    except ValueError:
        return False
