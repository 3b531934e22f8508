"""Environment files for tests: the fixture `local.yaml` with other service accounts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rehearsal.account import ACCOUNT_ID, REGION, REPOSITORY

LOCAL = REPOSITORY / "tests" / "fixtures" / "environments" / "local.yaml"

ALLOWED_PARAMETER = "/rehearsal/allowed"
OTHER_PARAMETER = "/rehearsal/other"

ServiceAccount = dict[str, Any]


def reader(*, parameter: str = ALLOWED_PARAMETER, **settings: Any) -> ServiceAccount:
    """Return the account `apps/reader`, which may read one parameter."""
    return {
        "namespace": "apps",
        "name": "reader",
        "create_namespace": True,
        "statements": [
            {
                "actions": ["ssm:GetParameter"],
                "resources": [f"arn:aws:ssm:{REGION}:{ACCOUNT_ID}:parameter{parameter}"],
            }
        ],
        **settings,
    }


def write_environment(
    folder: Path,
    *service_accounts: ServiceAccount,
    thumbprints: Sequence[str] = (),
) -> Path:
    """Write an environment file.

    Args:
        folder: where to.
        service_accounts: what it binds. Default: `apps/reader`.
        thumbprints: those of the OIDC provider. Default: the computed one.
    """
    content = yaml.safe_load(LOCAL.read_text())
    content["service_accounts"] = list(service_accounts) or [reader()]
    if thumbprints:
        content["oidc"] = {"thumbprints": "exact", "values": list(thumbprints)}
    path = folder / "rehearsal.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(content))
    return path


def without_kubernetes(folder: Path, *, computed_thumbprint: bool) -> Path:
    """Write the fixture `local.yaml` for a cluster without an API server: roles only.

    Args:
        folder: where to.
        computed_thumbprint: whether the function can reach the issuer on port 443.
    """
    content = yaml.safe_load(LOCAL.read_text())
    content["vpc_cni"] = "addon"
    for service_account in content["service_accounts"]:
        service_account["ownership"] = "NONE"
        service_account.pop("create_namespace", None)
    if not computed_thumbprint:
        content["oidc"] = {"thumbprints": "chosen-by-iam"}
    path = folder / "local.yaml"
    path.write_text(json.dumps(content))
    return path
