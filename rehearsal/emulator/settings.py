"""What a run tells the emulator's process, as one JSON file."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AttachedControlPlane:
    """The real control plane that the next cluster gets.

    Args:
        endpoint: `https://` URL of its API server.
        certificate_authority: PEM file of its CA.
        admin_kubeconfig: file of an administrator.
        kubectl: path of its kubectl.
        review_secret: last part of the path that its TokenReviews come in at.
    """

    endpoint: str
    certificate_authority: str
    admin_kubeconfig: str
    kubectl: str
    review_secret: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the emulator runs.

    Args:
        folder: the run's folder.
        account: account id.
        address: loopback address that AWS's host names lead to.
        https_port: port that their TLS is served on: 443, but for a user who may not have it.
        hosts: AWS's host names that functions call.
        issuer_id: 32 hexadecimal digits, the end of the first cluster's issuer.
        control_plane: what the first cluster gets. Default: a cluster without Kubernetes.
        keep: folders below `/tmp` that functions must see in spite of their own `/tmp`.
    """

    folder: str
    account: str
    address: str
    https_port: int
    hosts: list[str]
    issuer_id: str
    control_plane: AttachedControlPlane | None
    keep: list[str]

    @property
    def signing_keys(self) -> Path:
        """Folder of the clusters' RSA keys, `<issuer id>.pem`."""
        return Path(self.folder) / "signing-keys"

    def write(self, path: Path) -> None:
        """Write them to *path*."""
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """Read them from *path*."""
        content: dict[str, Any] = json.loads(path.read_text())
        attached = content.pop("control_plane")
        return cls(**content, control_plane=AttachedControlPlane(**attached) if attached else None)
