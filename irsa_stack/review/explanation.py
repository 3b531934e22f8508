"""Why a service account may, or may not, assume its role: each link of the chain, in order."""

from collections.abc import Iterator
from dataclasses import dataclass

from irsa_stack.iam.languages import Literal
from irsa_stack.iam.policy_sets import PRINCIPAL, Policy
from irsa_stack.iam.trust import STS_AUDIENCE
from irsa_stack.kubernetes.identity import SUBJECT_PREFIX
from irsa_stack.review.access import (
    POD_IDENTITY,
    lets_in_pods,
    normal_issuer,
    short_policy,
    trust_of,
    trusted_accounts,
)
from irsa_stack.review.facts import Binding, Facts, Role, short_role, shown

OK, BROKEN, UNKNOWN = "ok", "broken", "unknown"


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link of the chain.

    Args:
        name: what it is.
        state: ok, broken or unknown.
        presented: what the service account has or shows.
        configured: what is asked of it.
        fix: what to do if it is broken. Default: nothing.
        path: where that is written. Default: nowhere.
        line: from 1.
    """

    name: str
    state: str
    presented: str
    configured: str
    fix: str = ""
    path: str = ""
    line: int | None = None


def explained(facts: Facts, namespace: str, name: str) -> list[Link]:
    """Return the chain from a service account to what it may do.

    Args:
        facts: what was read.
        namespace: of the service account.
        name: of the service account.
    """
    bindings = [one for one in facts.bindings if (one.namespace, one.name) == (namespace, name)]
    links = [_account(facts, f"{namespace}/{name}", bindings)]
    if not bindings:
        links += _unbound(facts, namespace, name)
    for binding in bindings:
        role = facts.roles.get(binding.role)
        links.append(
            Link(
                name="binding",
                state=OK,
                presented=f"{binding.how} of {namespace}/{name}",
                configured=f"role {role.name if role else short_role(binding.role)}",
                path=binding.at.path,
                line=binding.at.line,
            )
        )
        if role is None:
            links.append(
                Link(
                    name="role",
                    state=UNKNOWN,
                    presented=shown(binding.role),
                    configured="not in what was read",
                    fix="name its template, plan or trust policy as a path, too",
                )
            )
        elif binding.how == "association":
            links += [_pods(role), *_permissions(role)]
        else:
            links += [*_web_identity(facts, role, namespace, name), *_permissions(role)]
    return links


def first_broken(links: list[Link]) -> Link | None:
    """Return the first link that is broken; else the first that is unknown; None if all hold."""
    for state in (BROKEN, UNKNOWN):
        for link in links:
            if link.state == state:
                return link
    return None


def _account(facts: Facts, account: str, bindings: list[Binding]) -> Link:
    is_defined = account in facts.service_accounts or bool(bindings)
    return Link(
        name="service account",
        state=OK if is_defined else UNKNOWN,
        presented=account,
        configured="defined or bound in what was read"
        if is_defined
        else "in nothing that was read",
        fix="" if is_defined else "name the manifests as a path, too, or correct the name",
    )


def _unbound(facts: Facts, namespace: str, name: str) -> Iterator[Link]:
    trusting = [
        role
        for role in facts.roles.values()
        if _lets_in(trust_of(role), role, namespace, name, STS_AUDIENCE)
    ]
    listed = ", ".join(sorted(role.name for role in trusting))
    yield Link(
        name="binding",
        state=BROKEN,
        presented=f"no annotation, association or add-on of {namespace}/{name}",
        configured=f"trusted by {listed}" if listed else "trusted by no role that was read",
        fix="annotate the service account with eks.amazonaws.com/role-arn, or associate it",
    )


def _pods(role: Role) -> Link:
    lets_in = lets_in_pods(role)
    conditions = {
        name
        for box in trust_of(role).where(PRINCIPAL, Literal(frozenset({POD_IDENTITY}))).allows
        for name in box.dimensions
        if name.startswith("aws:")
    }
    state = {True: UNKNOWN if conditions else OK, False: BROKEN, None: UNKNOWN}[lets_in]
    return Link(
        name="trust policy",
        state=state,
        presented="pods.eks.amazonaws.com",
        configured=f"lets it in when {', '.join(sorted(conditions))} match"
        if conditions
        else "lets it in"
        if lets_in
        else "does not name it",
        fix="" if lets_in else "let pods.eks.amazonaws.com sts:AssumeRole and sts:TagSession",
        path=role.at.path,
        line=role.at.line,
    )


def _web_identity(facts: Facts, role: Role, namespace: str, name: str) -> Iterator[Link]:
    trust = trust_of(role)
    subject = f"{SUBJECT_PREFIX}{namespace}:{name}"
    trusted = list(trusted_accounts(role))
    issuers = sorted({normal_issuer(one.issuer) for one in trusted if one.issuer})
    providers = {normal_issuer(one.issuer): one for one in facts.providers}
    for issuer in issuers:
        provider = providers.get(issuer)
        lists = provider is not None and STS_AUDIENCE in provider.client_ids
        yield Link(
            name="OIDC provider",
            state=UNKNOWN if provider is None else OK if lists else BROKEN,
            presented=f"token of {shown(issuer)} for {STS_AUDIENCE}",
            configured="not in what was read"
            if provider is None
            else f"audiences {', '.join(provider.client_ids) or 'none'}",
            fix="" if provider is None or lists else f"add {STS_AUDIENCE} to its client ids",
            path=provider.at.path if provider else "",
            line=provider.at.line if provider else None,
        )
    configured = ", ".join(sorted({shown(one.subject) for one in trusted})) or "no service account"
    is_told = all(one.is_told for one in trusted) and bool(role.trust.outcomes)
    lets_in = _lets_in(trust, role, namespace, name, None)
    yield Link(
        name="subject",
        state=OK if lets_in else BROKEN if is_told else UNKNOWN,
        presented=subject,
        configured=configured,
        fix="" if lets_in else f"let {subject} into the trust policy of {role.name}",
        path=role.at.path,
        line=role.at.line,
    )
    if not lets_in:
        return
    for_sts = _lets_in(trust, role, namespace, name, STS_AUDIENCE)
    yield Link(
        name="audience",
        state=OK if for_sts else BROKEN,
        presented=STS_AUDIENCE,
        configured=_audiences(trust) or "any",
        fix="" if for_sts else f"test the audience for {STS_AUDIENCE}",
        path=role.at.path,
        line=role.at.line,
    )
    conditions = sorted({word for one in trusted for word in one.conditions})
    if conditions:
        yield Link(
            name="conditions",
            state=UNKNOWN,
            presented="what the request will have",
            configured=", ".join(conditions),
            fix="check that each request has it",
            path=role.at.path,
            line=role.at.line,
        )


def _lets_in(trust: Policy, role: Role, namespace: str, name: str, audience: str | None) -> bool:
    subject = f"{SUBJECT_PREFIX}{namespace}:{name}"
    for one in trusted_accounts(role):
        if not one.is_told:
            continue
        found = trust
        if one.key:
            found = found.where(one.key, Literal(frozenset({subject})))
            if audience:
                key = f"{one.key.removesuffix(':sub')}:aud"
                found = found.where(key, Literal(frozenset({audience})))
        if not found.is_nothing:
            return True
    return False


def _audiences(trust: Policy) -> str:
    return ", ".join(
        sorted(
            {
                pattern
                for box in trust.allows
                for name, literals in box.dimensions.items()
                if name.endswith(":aud")
                for literal in literals
                for pattern in literal.patterns
            }
        )
    )


def _permissions(role: Role) -> Iterator[Link]:
    known = [one.name for one in role.policies]
    managed = [short_policy(arn) for arn in role.managed]
    yield Link(
        name="permissions",
        state=OK if known or managed else BROKEN,
        presented=f"role {role.name}",
        configured=", ".join([*known, *managed]) or "no policy",
        fix="" if known or managed else "give the role a policy",
        path=role.at.path,
        line=role.at.line,
    )
    if role.boundary:
        yield Link(
            name="permissions boundary",
            state=OK if role.boundary_document else UNKNOWN,
            presented=f"role {role.name}",
            configured=short_policy(role.boundary),
            fix="" if role.boundary_document else "read what it allows, because it limits the role",
            path=role.at.path,
            line=role.at.line,
        )
