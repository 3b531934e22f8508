"""`make review`: every file of environments/ as a user synthesises it, a line each.

The pinned CLI runs `app.py` with the review on. Then the trust policy of each role in the templates
is resolved as CloudFormation would, and compared with what the file asks for.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests.support.trust_resolver import PLACES, Deployment, Place, Trusted

REPOSITORY = Path(__file__).resolve().parents[1]
CDK = REPOSITORY / "node_modules" / ".bin" / "cdk"
ENVIRONMENTS = Path("environments")


def main(files: list[Path]) -> int:
    """Say a line of each file; return 1 if one is refused or its trust is not proved."""
    print(f"reviewing {len(files)} environment files, about 10 s each", flush=True)  # noqa: T201
    with ThreadPoolExecutor(2) as pool:
        verdicts = [
            (file, verdict) for file, verdict in zip(files, pool.map(_judged, files), strict=True)
        ]
    for file, (_, told) in verdicts:
        print(f"{file}: {told}")  # noqa: T201
    return int(not all(right for _, (right, _) in verdicts))


def _judged(file: Path) -> tuple[bool, str]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [
                CDK, "synth", "--quiet", "--no-notices", "--no-color", "--output", folder,
                "--context", f"environment={file.stem}",
                "--app", f"{sys.executable} {REPOSITORY / 'app.py'}",
            ],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode:
            return False, f"refused\n{run.stdout}{run.stderr}"
        templates = templates_of(Path(folder))
    document = yaml.safe_load(file.read_text())
    faults = [
        f"{place.partition}: {fault}"
        for place in places(document)
        for fault in trust_faults(document, Deployment(templates, place))
    ]
    if faults:
        return False, "\n  - ".join(["trust is not what the file asks for", *faults])
    roles = len(Deployment(templates, places(document)[0]).web_identity_roles())
    return True, (
        f"reviewed; each of its {roles} roles trusts the service accounts it is for, and nobody"
        f" else ({time.monotonic() - started:.0f} s)"
    )


def templates_of(folder: Path) -> dict[str, Any]:
    """Return the templates that a synth wrote, by stack, as its manifest lists them."""
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    return {
        name: json.loads((folder / artifact["properties"]["templateFile"]).read_text())
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }


def places(document: dict[str, Any]) -> list[Place]:
    """Return where the environment may be deployed, as far as its file says."""
    region = document.get("region")
    if region is None:
        return list(PLACES)
    for place in PLACES:
        if place.partition != "aws" and region.startswith(place.region[:3]):
            return [Place(place.partition, region, place.suffix)]
    return [Place("aws", region)]


def trust_faults(document: dict[str, Any], deployment: Deployment) -> Iterator[str]:
    """Say where the roles in the templates do not trust whom the file names, and nobody else."""
    existing = document["cluster"].get("existing")
    issuer = deployment.place.issuer
    if existing:
        issuer = existing["issuer_url"].removeprefix("https://")
    roles = deployment.web_identity_roles()
    own = set()
    for logical_id, role in roles.items():
        for statement in role.document["Statement"]:
            yield from _statement_faults(logical_id, statement)
            own |= _subjects(statement, issuer)
        yield from _tag_faults(logical_id, role)
    wanted = {
        f"system:serviceaccount:{name.replace('/', ':')}"
        for account in document.get("service_accounts") or []
        if "role_arn" not in account
        for name in [
            f"{account['namespace']}/{account['name']}",
            *account.get("subject_patterns", []),
        ]
    }
    for subject in sorted(wanted - own):
        yield f"no role trusts {subject} of {issuer}"
    others = own - wanted
    bound_by_us = document.get("controllers") or document.get("vpc_cni") != "keep"
    if others and not bound_by_us:
        yield f"roles trust {', '.join(sorted(others))}, whom the file does not name"


def _statement_faults(role: str, statement: dict[str, Any]) -> Iterator[str]:
    if (statement["Effect"], statement["Action"]) != ("Allow", "sts:AssumeRoleWithWebIdentity"):
        yield f"{role} is assumed in another way than with a web identity"
    provider = statement["Principal"].get("Federated", "")
    issuer = provider.partition(":oidc-provider/")[2]
    if list(statement["Principal"]) != ["Federated"] or not issuer:
        yield f"{role} trusts {statement['Principal']}, which is no single provider"
    condition = statement["Condition"]
    if f"{issuer}:aud" not in condition.get("StringEquals", {}):
        yield f"{role} does not test the audience with StringEquals"
    tested = sorted(key for tests in condition.values() for key in tests)
    if tested != [f"{issuer}:aud", f"{issuer}:sub"] or not set(condition) <= _OPERATORS:
        yield f"{role} must test audience and subject of {issuer} alone, and tests {condition}"
    for subject in _subjects(statement, issuer):
        namespace = subject.removeprefix("system:serviceaccount:").partition(":")[0]
        if namespace == subject or not namespace or set("*?") & set(namespace):
            yield f"{role} trusts {subject}, which is not of one namespace"


_OPERATORS = {"StringEquals", "StringLike"}


def _subjects(statement: dict[str, Any], issuer: str) -> set[str]:
    found = set()
    for tests in statement["Condition"].values():
        subject = tests.get(f"{issuer}:sub", [])
        found |= {subject} if isinstance(subject, str) else set(subject)
    return found


def _tag_faults(logical_id: str, role: Trusted) -> Iterator[str]:
    """The tags of a role name one account, which must be among those that it trusts."""
    tagged = [role.tags.get(f"ServiceAccount{part}") for part in ("Namespace", "Name")]
    if all(tagged) and f"system:serviceaccount:{':'.join(map(str, tagged))}" not in json.dumps(
        role.document
    ):
        yield f"{logical_id} is tagged as {'/'.join(map(str, tagged))}, which it does not trust"


if __name__ == "__main__":
    named = [Path(argument) for argument in sys.argv[1:]]
    sys.exit(main(named or sorted(ENVIRONMENTS.glob("*.yaml"))))
