"""What Kubernetes manifests say about access: role annotations, and roles of AWS' controllers."""

import contextlib
import json
from typing import Any

from irsa_stack.kubernetes.service_account_manifest import ROLE_ARN_ANNOTATION
from irsa_stack.review.facts import ANNOTATION, At, Binding, Document, Facts, Role, each_text
from irsa_stack.review.sources.documents import line_with, object_of
from irsa_stack.review.sources.reading import Source


def add_manifest(source: Source, facts: Facts) -> None:
    """Add what one manifest says."""
    manifest = object_of(source.content)
    metadata = object_of(manifest.get("metadata"))
    account = f"{metadata.get('namespace') or 'default'}/{metadata.get('name')}"
    if manifest.get("kind") == "ServiceAccount":
        facts.service_accounts.add(account)
        role = object_of(metadata.get("annotations")).get(ROLE_ARN_ANNOTATION)
        if role is not None:
            found = facts.role_of(str(role))
            namespace, _, name = account.partition("/")
            facts.bindings.append(
                Binding(
                    namespace=namespace,
                    name=name,
                    how=ANNOTATION,
                    role=found.id if found else str(role),
                    at=at_manifest(source),
                )
            )


def add_roles(source: Source, facts: Facts) -> None:
    """Add the role that a manifest of ACK or Crossplane defines."""
    manifest = object_of(source.content)
    api = str(manifest.get("apiVersion")).partition("/")[0]
    if manifest.get("kind") != "Role" or not ("iam.services.k8s.aws" in api or "iam.aws." in api):
        return
    spec = object_of(manifest.get("spec"))
    spec = object_of(spec.get("forProvider", spec))
    trust = spec.get("assumeRolePolicyDocument", spec.get("assumeRolePolicy"))
    name = str(spec.get("name") or object_of(manifest.get("metadata")).get("name"))
    role = Role(
        id=f"{source.path}:{name}",
        name=name,
        has_name=True,
        at=at_manifest(source),
        trust=_document("trust policy", trust),
        managed=[
            *each_text(spec.get("policies") or []),
            *each_text(spec.get("managedPolicyArns") or []),
        ],
        boundary=spec.get("permissionsBoundary"),
    )
    inline = spec.get("inlinePolicies") or spec.get("inlinePolicy") or {}
    items = (
        [(str(object_of(one).get("name")), object_of(one).get("policy")) for one in inline]
        if isinstance(inline, list)
        else list(object_of(inline).items())
    )
    role.policies = [_document(name, policy) for name, policy in items]
    facts.roles[role.id] = role


def at_manifest(source: Source) -> At:
    """Return where the manifest is in its file."""
    metadata = object_of(object_of(source.content).get("metadata"))
    namespace, name = metadata.get("namespace"), str(metadata.get("name"))
    kind = str(object_of(source.content).get("kind"))
    resource = f"{kind}/{namespace}/{name}" if namespace else f"{kind}/{name}"
    line = line_with(source.text, kind, f"name: {name}") or line_with(source.text, name)
    return At(path=source.path, resource=resource, line=line)


def _document(name: str, value: Any) -> Document:  # noqa: ANN401 (JSON)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    return Document(name=name, outcomes=() if value is None else (value,))
