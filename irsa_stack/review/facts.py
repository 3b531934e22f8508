"""What sources say about access: roles, bindings to them, providers, cluster administrators."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

ANNOTATION, ASSOCIATION, ADD_ON, TRUST_ONLY = "annotation", "association", "add-on", "trust only"

_TOKEN = re.compile(r"\$\{Token\[(?:plain\.)?(?:issuer\.)?(?:@[^.\]]*\.)?([^\]]*)\]\}")
_PSEUDO = re.compile(r"^Ref\.AWS\.")
_ARN = re.compile(r"arn:[^:]*:iam::[^:]*:role/(?:.*/)?([^/]+)$")


@dataclass(frozen=True, kw_only=True)
class At:
    """Where a fact is written.

    Args:
        path: its file.
        resource: the logical id, address or `namespace/name` that names it there.
        line: from 1. Default: unknown.
    """

    path: str
    resource: str
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class Document:
    """A policy and what it can turn out to be.

    Args:
        name: what it is called.
        outcomes: its documents, one for each outcome; text where only the deploy can tell.
    """

    name: str
    outcomes: tuple[Any, ...]


@dataclass(kw_only=True)
class Role:
    """An IAM role.

    Args:
        id: names it among the roles of one reading.
        name: its literal name; else what names it in its file.
        has_name: whether *name* is the role's own.
        at: where it is written.
        trust: its trust policy.
        policies: its inline policies, and those attached whose content is known.
        managed: ARNs of policies whose content is not known.
        boundary: ARN of its permissions boundary. Default: none.
        boundary_document: its content. Default: not known.
    """

    id: str
    name: str
    has_name: bool
    at: At
    trust: Document
    policies: list[Document] = field(default_factory=list)
    managed: list[str] = field(default_factory=list)
    boundary: str | None = None
    boundary_document: Document | None = None


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A service account that something binds to a role.

    Args:
        namespace: its namespace.
        name: its name.
        how: annotation, association or add-on.
        role: the id of a role that was read; else its ARN as written.
        at: where that is written.
        cluster: the cluster, if that is said.
        target: ARN of the role that Pod Identity goes on to assume. Default: none.
    """

    namespace: str
    name: str
    how: str
    role: str
    at: At
    cluster: str = ""
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """An OIDC provider of IAM.

    Args:
        issuer: without `https://`; may be known only at deploy.
        client_ids: audiences that it lists.
        cluster: the cluster whose issuer it is, if that is said.
        at: where it is written.
    """

    issuer: str
    client_ids: tuple[str, ...]
    cluster: str
    at: At


@dataclass(frozen=True, kw_only=True)
class AccessEntry:
    """An IAM principal that Kubernetes lets in.

    Args:
        principal: its ARN.
        cluster: the cluster.
        grants: what it has: access policies with their scope, and groups.
        at: where it is written.
    """

    principal: str
    cluster: str
    grants: tuple[str, ...]
    at: At


@dataclass(kw_only=True)
class Facts:
    """All that was read.

    Args:
        roles: by id.
        bindings: in the order of reading.
        providers: in the order of reading.
        access_entries: in the order of reading.
        service_accounts: `namespace/name` of every service account that a manifest defines.
        clusters: names by what refers to the cluster.
    """

    roles: dict[str, Role] = field(default_factory=dict)
    bindings: list[Binding] = field(default_factory=list)
    providers: list[Provider] = field(default_factory=list)
    access_entries: list[AccessEntry] = field(default_factory=list)
    service_accounts: set[str] = field(default_factory=set)
    clusters: dict[str, str] = field(default_factory=dict)

    def role_of(self, reference: str) -> Role | None:
        """Return the role that an id, an ARN or a name means; None if none that was read."""
        if reference in self.roles:
            return self.roles[reference]
        found = _ARN.match(reference)
        name = found[1] if found else reference
        matches = [role for role in self.roles.values() if role.name == name]
        return matches[0] if len(matches) == 1 else None


def shown(text: str) -> str:
    """Write deploy-time values as `Fn::Sub` names them."""

    def one(token: re.Match[str]) -> str:
        content = _PSEUDO.sub("AWS::", token[1])
        return f"${{{content.removeprefix('Ref.').removeprefix('Fn.GetAtt.')}}}"

    return _TOKEN.sub(one, text)


def short_role(reference: str) -> str:
    """Return the name in a role's ARN, or the reference itself."""
    found = _ARN.match(reference)
    return shown(found[1] if found else reference)


def each_text(values: object) -> Sequence[str]:
    """Return one text or many as many, without what is no text."""
    many: Iterable[Any] = values if isinstance(values, list) else [values]
    return [value for value in many if isinstance(value, str)]
