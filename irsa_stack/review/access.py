"""Who may do what: each service account, how it is bound, its role, and what that may do."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from irsa_stack.iam.conditions import listed
from irsa_stack.iam.globs import MANY
from irsa_stack.iam.languages import Literal, readable
from irsa_stack.iam.policy_sets import ACTION, PRINCIPAL, Box, Policy, managed_policy, policy_of
from irsa_stack.kubernetes.identity import SUBJECT_PREFIX
from irsa_stack.review.facts import TRUST_ONLY, Binding, Document, Facts, Role, short_role, shown
from irsa_stack.review.managed_policies import access_level

CERTAIN, CONDITIONAL, UNKNOWN, DENIED = "certain", "conditional", "unknown", "denied"

WEB_IDENTITY = "sts:assumerolewithwebidentity"
POD_IDENTITY = "Service pods.eks.amazonaws.com"
_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
}
_ADMINISTRATOR = re.compile(r"arn:[^:]*:iam::aws:policy/AdministratorAccess")
_PROVIDER = re.compile(
    r"(?:arn:[^:]*:iam::[^:]*:)?oidc-provider/(.*)|\$\{Token\[[^\]]*\]\}", re.DOTALL
)
_STACK = re.compile(r"@[^.\]]*\.")


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What one service account gets from one role.

    Args:
        cluster: its name, or its issuer; empty if neither is known.
        namespace: may hold wildcards.
        name: may hold wildcards.
        bound: annotation, association, add-on; or trust only.
        role: the role's name.
        certainty: certain, conditional, unknown; denied if it is bound and not trusted.
        why: what it depends on, in words.
        conditions: tests beside audience and subject.
        boundary: ARN of the permissions boundary. Default: none.
        managed_policies: name and access level of those whose content is not read.
        permissions: the statements of the role's policies.
        path: the role's file, or the binding's.
        line: from 1.
    """

    cluster: str
    namespace: str
    name: str
    bound: tuple[str, ...]
    role: str
    certainty: str
    why: str
    conditions: tuple[str, ...]
    boundary: str | None
    managed_policies: tuple[tuple[str, str], ...]
    permissions: tuple[Mapping[str, Any], ...]
    path: str
    line: int | None

    @property
    def account(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """Service accounts that one statement lets in.

    Args:
        issuer: the issuer, without scheme.
        subject: as written, wildcards as IAM writes them.
        pattern: the same as a glob.
        key: the condition key of the subject. Default: none is tested.
        conditions: further tests, in words.
        is_told: whether it can be told before the deploy.
    """

    issuer: str
    subject: str
    pattern: str
    key: str
    conditions: tuple[str, ...]
    is_told: bool

    @property
    def account(self) -> tuple[str, str]:
        """Namespace and name."""
        rest = self.subject.removeprefix(SUBJECT_PREFIX)
        namespace, colon, name = rest.partition(":")
        return (namespace, name) if colon else ("*", "*") if set(rest) <= {"*"} else (rest, "*")


def trust_of(role: Role) -> Policy:
    """Return whom a role's trust policy lets in, whatever the deploy decides."""
    return _union(role.trust)


def _union(document: Document) -> Policy:
    found = [_policy(one, document.name) for one in document.outcomes]
    if not found:
        return Policy()
    denies = [box for box in found[0].denies if all(box in other.denies for other in found[1:])]
    allows = dict.fromkeys(box for one in found for box in one.allows)
    return Policy(allows=tuple(allows), denies=tuple(denies))


def _policy(document: Any, name: str) -> Policy:  # noqa: ANN401 (JSON)
    text = json.dumps(document, sort_keys=True, default=str)
    return _policy_of_text(text, name)


@lru_cache(maxsize=20_000)
def _policy_of_text(text: str, name: str) -> Policy:
    document = json.loads(text)
    if not isinstance(document, Mapping):
        document = {"Statement": document}
    return policy_of(document, name)


def permissions_of(role: Role) -> Policy:
    """Return what a role's policies allow within its boundary."""
    found = Policy()
    for document in role.policies:
        found += _union(document)
    for arn in role.managed:
        is_all = _ADMINISTRATOR.fullmatch(arn)
        found += policy_of(_EVERYTHING, arn) if is_all else managed_policy(arn)
    if role.boundary is None:
        return found
    if role.boundary_document is not None:
        return found.within(_union(role.boundary_document))
    return found.within(managed_policy(role.boundary))


def trusted_accounts(role: Role) -> Iterator[Trusted]:
    """Return the service accounts that a role's trust policy names."""
    trust = trust_of(role)
    for box in trust.allows:
        yield from _trusted(box, trust)
    if any(not isinstance(one, Mapping) for one in role.trust.outcomes):
        yield Trusted(issuer="", subject="*", pattern=MANY, key="", conditions=(), is_told=False)


def _trusted(box: Box, trust: Policy) -> Iterator[Trusted]:
    dimensions = box.dimensions
    principals = [one for literal in dimensions.get(PRINCIPAL, ()) for one in literal.patterns]
    federated = [
        found[1] or name
        for one in sorted(principals)
        if one.startswith("Federated ")
        and (found := _PROVIDER.fullmatch(name := readable(one).removeprefix("Federated ")))
    ]
    if MANY in principals:
        federated += sorted(name[:-4] for name in dimensions if name.endswith(":sub"))
    if not federated:
        if any(_may_be_web_identity(name) for name in dimensions):
            yield Trusted(
                issuer="", subject="*", pattern=MANY, key="", conditions=(), is_told=False
            )
        return
    for issuer in federated:
        yield from _of_issuer(issuer, box, trust)


def _may_be_web_identity(name: str) -> bool:
    """Whether a dimension is a statement that cannot be told, and may be one for web identities."""
    text = name.lower()
    return text.startswith("opaque {") and ("withwebidentity" in text or '"principal"' not in text)


def _of_issuer(issuer: str, box: Box, trust: Policy) -> Iterator[Trusted]:
    dimensions = box.dimensions
    if not _is_kubernetes(issuer, dimensions):
        return
    subjects = [name for name in dimensions if name.endswith(":sub")]
    conditions = tuple(
        shown(_in_words(name, box))
        for name in dimensions
        if name not in (ACTION, PRINCIPAL, *subjects) and not name.endswith(":aud")
    )
    limits = [(name, one) for name in subjects for one in dimensions[name] if one.positive]
    limits += _limits_of_denies(trust, issuer)
    if not limits:
        yield Trusted(
            issuer=issuer, subject="*", pattern=MANY, key="", conditions=conditions, is_told=True
        )
        return
    key, chosen = min(limits, key=lambda limit: (limit[1].is_everything, len(limit[1].patterns)))
    only = Policy(allows=(box,), denies=trust.denies)
    for pattern in sorted(chosen.patterns):
        if only.where(key, Literal(frozenset({pattern}))).is_nothing:
            continue
        subject = readable(pattern)
        told = "${" not in subject.replace("${aws:", "")
        yield Trusted(
            issuer=issuer,
            subject=subject,
            pattern=pattern,
            key=key,
            conditions=conditions,
            is_told=told,
        )


def _limits_of_denies(trust: Policy, issuer: str) -> Iterator[tuple[str, Literal]]:
    """Return the subjects that a Deny leaves: it denies all that are not like them."""
    key = f"{issuer}:sub".lower()
    for box in trust.denies:
        tests = [(name, one) for name, one in box.factors if name not in (ACTION, PRINCIPAL)]
        if len(tests) == 1 and tests[0][0] == key and not tests[0][1].positive:
            yield key, tests[0][1].complement


def _is_kubernetes(issuer: str, dimensions: Mapping[str, frozenset[Literal]]) -> bool:
    patterns = [
        one
        for name, literals in dimensions.items()
        if name.endswith(":sub")
        for literal in literals
        for one in literal.patterns
    ]
    return (
        "oidc.eks" in issuer
        or "oidc-eks" in issuer
        or "${" in issuer
        or any(one.startswith(SUBJECT_PREFIX) for one in patterns)
    )


def _in_words(name: str, box: Box) -> str:
    for operator, block in _conditions(box.statement):
        for key, values in block.items():
            if key.lower() == name or f"{key.lower()} {operator.lower()}" in name:
                return f"{operator} {key} {', '.join(str(value) for value in listed(values))}"
    return name


def _conditions(statement: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    condition = statement.get("Condition")
    if isinstance(condition, Mapping):
        yield from (
            (str(operator), block)
            for operator, block in condition.items()
            if isinstance(block, Mapping)
        )


def statement_words(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement as the reports write it: deploy-time values named, lists made lists."""
    found: dict[str, Any] = {"effect": statement.get("Effect", "Allow")}
    for element in ("Action", "NotAction", "Resource", "NotResource"):
        if element in statement:
            key = {"NotAction": "not_actions", "NotResource": "not_resources"}.get(
                element, f"{element.lower()}s"
            )
            found[key] = [shown(str(one)) for one in listed(statement[element])]
    found["conditions"] = [
        shown(f"{operator} {key} {', '.join(str(value) for value in listed(values))}")
        for operator, block in _conditions(statement)
        for key, values in block.items()
    ]
    return found


def normal_issuer(issuer: str) -> str:
    """Return an issuer as it is compared: without the stack that a deploy-time value is of."""
    return _STACK.sub("", issuer).replace("${Token[plain.", "${Token[")


def grants_of(facts: Facts) -> list[Grant]:
    """Return the map of access, sorted."""
    clusters = {normal_issuer(one.issuer): one.cluster for one in facts.providers if one.cluster}
    found: list[Grant] = []
    matched: set[Binding] = set()
    by_role: dict[str, list[Binding]] = {}
    for binding in facts.bindings:
        by_role.setdefault(binding.role, []).append(binding)
    for role in facts.roles.values():
        mine = by_role.get(role.id, [])
        merged: dict[tuple[str, str, str], list[Trusted]] = {}
        for trusted in trusted_accounts(role):
            issuer = normal_issuer(trusted.issuer)
            cluster = clusters.get(issuer) or shown(trusted.issuer)
            merged.setdefault((cluster, *trusted.account), []).append(trusted)
        for (cluster, namespace, name), several in merged.items():
            bindings = [
                one
                for one in mine
                if one.how != "association"
                and matches(namespace, one.namespace)
                and matches(name, one.name)
                and (not one.cluster or one.cluster == cluster or "." in cluster or "$" in cluster)
            ]
            matched |= set(bindings)
            found.append(_grant(role, (cluster, namespace, name), several, bindings))
        for binding in mine:
            if binding not in matched:
                found.append(_bound(role, binding))
                matched.add(binding)
    found += [_unread(binding) for binding in facts.bindings if binding not in matched]
    return sorted(found, key=lambda one: (one.cluster, one.namespace, one.name, one.role))


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of IAM's matches *text*."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return pattern == text or re.fullmatch(expression, text) is not None


def _grant(
    role: Role,
    account: tuple[str, str, str],
    several: Sequence[Trusted],
    bindings: Sequence[Binding],
) -> Grant:
    cluster, namespace, name = account
    conditions = min((one.conditions for one in several), key=len)
    if not any(one.is_told for one in several):
        certainty, why = UNKNOWN, "only the deploy tells whom the role lets in"
    elif conditions:
        certainty, why = CONDITIONAL, "the trust policy tests more than audience and subject"
    elif len(role.trust.outcomes) > 1:
        certainty, why = CONDITIONAL, "conditions of the template decide"
    else:
        certainty, why = CERTAIN, ""
    bound = tuple(sorted({one.how for one in bindings})) or (TRUST_ONLY,)
    return Grant(
        cluster=cluster,
        namespace=shown(namespace),
        name=shown(name),
        bound=bound,
        certainty=certainty,
        why=why,
        conditions=conditions,
        **_of_role(role),
    )


def _of_role(role: Role) -> dict[str, Any]:
    return {
        "role": role.name,
        "boundary": shown(role.boundary) if role.boundary else None,
        "managed_policies": tuple((short_policy(arn), access_level(arn)) for arn in role.managed),
        "permissions": tuple(
            {"policy": document.name, **statement_words(statement)}
            for document in role.policies
            for statement in _statements(document)
        ),
        "path": role.at.path,
        "line": role.at.line,
    }


def short_policy(arn: str) -> str:
    """Return a managed policy's name, or what stands for it."""
    return shown(arn.rpartition(":policy/")[2] if ":policy/" in arn else arn)


def _statements(document: Document) -> Iterator[Mapping[str, Any]]:
    for one in document.outcomes:
        if isinstance(one, Mapping):
            yield from (each for each in listed(one.get("Statement")) if isinstance(each, Mapping))


def lets_in_pods(role: Role) -> bool | None:
    """Whether Pod Identity may assume a role; None if that cannot be told."""
    if any(not isinstance(one, Mapping) for one in role.trust.outcomes):
        return None
    pods = Literal(frozenset({POD_IDENTITY}))
    trust = trust_of(role).where(PRINCIPAL, pods)
    return not trust.where(ACTION, Literal(frozenset({"sts:assumerole"}))).is_nothing


def _bound(role: Role, binding: Binding) -> Grant:
    """Return the grant of a binding that no subject of the trust policy stands for."""
    if binding.how != "association":
        told = all(one.is_told for one in trusted_accounts(role))
        certainty = DENIED if told else UNKNOWN
        why = "the role does not trust this service account" if told else "the trust is not known"
        conditions: tuple[str, ...] = ()
    else:
        lets_in = lets_in_pods(role)
        conditions = tuple(
            shown(_in_words(name, box))
            for box in trust_of(role).where(PRINCIPAL, Literal(frozenset({POD_IDENTITY}))).allows
            for name in box.dimensions
            if name not in (ACTION, PRINCIPAL)
        )
        certainty = {True: CONDITIONAL if conditions else CERTAIN, False: DENIED, None: UNKNOWN}[
            lets_in
        ]
        why = "" if lets_in else "the role does not trust pods.eks.amazonaws.com"
        if lets_in and conditions:
            why = "the trust policy tests the association"
    return Grant(
        cluster=shown(binding.cluster),
        namespace=shown(binding.namespace),
        name=shown(binding.name),
        bound=(binding.how,),
        certainty=certainty,
        why=why,
        conditions=conditions,
        **_of_role(role),
    )


def _unread(binding: Binding) -> Grant:
    return Grant(
        cluster=shown(binding.cluster),
        namespace=shown(binding.namespace),
        name=shown(binding.name),
        bound=(binding.how,),
        role=short_role(binding.role),
        certainty=UNKNOWN,
        why="the role is not in what was read",
        conditions=(),
        boundary=None,
        managed_policies=(),
        permissions=(),
        path=binding.at.path,
        line=binding.at.line,
    )
