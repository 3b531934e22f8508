"""What a change changes: who gained, lost, has wider or narrower access."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irsa_stack.iam.conditions import listed
from irsa_stack.iam.globs import MANY
from irsa_stack.iam.languages import Literal, glob, readable
from irsa_stack.iam.policy_sets import ACTION, PRINCIPAL, RESOURCE, Box, Excess, Policy, excess
from irsa_stack.review.access import (
    Trusted,
    normal_issuer,
    permissions_of,
    short_policy,
    statement_words,
    trust_of,
    trusted_accounts,
)
from irsa_stack.review.facts import AccessEntry, Binding, Facts, Role, short_role, shown

SAME, NARROWED, WIDENED, INCOMPARABLE = "same", "narrowed", "widened", "incomparable"
GAINED, LOST = "gained", "lost"

_SHOWN_AT_MOST = 6
_COMBINATIONS_AT_MOST = 200


@dataclass(frozen=True, kw_only=True, order=True)
class Change:
    """One change of access.

    Args:
        subject: the service account as `namespace/name`, or another principal.
        role: the role, or what stands for it.
        kind: gained, lost, narrowed, widened or incomparable.
        what: what it may or may not do any more.
        path: the file that says so now, or said so.
        line: from 1.
    """

    subject: str
    role: str
    kind: str
    what: str
    path: str = ""
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All changes together.

    Args:
        verdict: same, narrowed, widened or incomparable.
        changes: sorted.
    """

    verdict: str
    changes: tuple[Change, ...]


def difference(old: Facts, new: Facts) -> Difference:
    """Return what changes from *old* to *new*."""
    pairs = _pairs(old, new)
    changes: list[Change] = []
    for before, after in pairs:
        changes += _role_changes(before, after)
    keys = {before.id: f"pair {at}" for at, (before, _) in enumerate(pairs) if before is not None}
    keys_now = {after.id: f"pair {at}" for at, (_, after) in enumerate(pairs) if after is not None}
    changes += _binding_changes(old, new, keys, keys_now, changes)
    changes += _entry_changes(old.access_entries, new.access_entries)
    changes += _provider_changes(old, new)
    return Difference(verdict=_verdict(changes), changes=tuple(sorted(set(changes))))


def _verdict(changes: Iterable[Change]) -> str:
    kinds = {change.kind for change in changes}
    up, down = bool(kinds & {GAINED, WIDENED}), bool(kinds & {LOST, NARROWED})
    if INCOMPARABLE in kinds or (up and down):
        return INCOMPARABLE
    return WIDENED if up else NARROWED if down else SAME


def _pairs(old: Facts, new: Facts) -> list[tuple[Role | None, Role | None]]:
    """Return roles of both sides that are one: by name, place, content, or whom they let in."""
    left, right = list(old.roles.values()), list(new.roles.values())
    pairs: list[tuple[Role | None, Role | None]] = []
    rules: tuple[Callable[[Role], object], ...] = (
        lambda role: role.name if role.has_name else None,
        lambda role: None if role.has_name else role.id,
        lambda role: None if role.has_name else role.at.resource,
        _content,
        lambda role: _named(role) or None,
    )
    for rule in rules:
        mine, others = _by(left, rule), _by(right, rule)
        for key, before in mine.items():
            after = others.get(key)
            if after is not None and (before.has_name == after.has_name or rule is rules[-1]):
                pairs.append((before, after))
                left.remove(before)
                right.remove(after)
    return [*pairs, *((role, None) for role in left), *((None, role) for role in right)]


def _by(roles: Sequence[Role], rule: Callable[[Role], object]) -> dict[object, Role]:
    """Return the roles that *rule* tells apart."""
    found: dict[object, list[Role]] = {}
    for role in roles:
        key = rule(role)
        if key is not None:
            found.setdefault(key, []).append(role)
    return {key: several[0] for key, several in found.items() if len(several) == 1}


def _content(role: Role) -> str:
    return json.dumps(
        [role.trust.outcomes, [one.outcomes for one in role.policies], role.managed, role.boundary],
        sort_keys=True,
        default=str,
    )


def _named(role: Role) -> tuple[str, ...]:
    return tuple(sorted({f"{one.issuer} {one.subject}" for one in trusted_accounts(role)}))


def _role_changes(before: Role | None, after: Role | None) -> Iterator[Change]:
    role = after or before
    if role is None:
        return
    if before is None or after is None:
        kind = GAINED if before is None else LOST
        for subject in subjects_of(role):
            yield _change(role, subject, kind, _summary(role))
        return
    if before.trust.outcomes != after.trust.outcomes:
        yield from _trust_changes(before, after)
    if _grants(before) != _grants(after):
        kind, what = compared(permissions_of(before), permissions_of(after))
        if kind == SAME:
            return
        what = "; ".join(filter(None, [_boundary_change(before, after), what]))
        for subject in subjects_of(after) or ["nobody"]:
            yield _change(after, subject, kind, what)


def _change(role: Role, subject: str, kind: str, what: str) -> Change:
    return Change(
        subject=subject,
        role=role.name,
        kind=kind,
        what=what,
        path=role.at.path,
        line=role.at.line or 0,
    )


def _grants(role: Role) -> object:
    boundary = role.boundary_document.outcomes if role.boundary_document else None
    return [[one.outcomes for one in role.policies], role.managed, role.boundary, boundary]


def _boundary_change(before: Role, after: Role) -> str:
    if before.boundary == after.boundary:
        return ""
    if after.boundary is None:
        return f"permissions boundary {short_policy(before.boundary or '')} removed"
    if before.boundary is None:
        return f"permissions boundary {short_policy(after.boundary)} added"
    return (
        f"permissions boundary {short_policy(after.boundary)} instead of"
        f" {short_policy(before.boundary)}"
    )


def subjects_of(role: Role) -> list[str]:
    """Return whom a role lets in: service accounts, and other principals."""
    accounts = {_account(one) for one in trusted_accounts(role)}
    return sorted(accounts) or sorted(map(_principal_shown, _principals(trust_of(role))))


def _account(trusted: Trusted) -> str:
    if not trusted.is_told and trusted.subject == "*":
        return "whom only the deploy tells"
    return shown("/".join(trusted.account))


def _principals(trust: Policy) -> set[str]:
    return {
        one
        for box in trust.allows
        for literal in box.dimensions.get(PRINCIPAL, ())
        for one in literal.patterns
    }


def _principal_shown(pattern: str) -> str:
    return "everybody" if pattern == MANY else shown(readable(pattern))


def _trust_changes(before: Role, after: Role) -> Iterator[Change]:
    old, new = trust_of(before), trust_of(after)
    found = False
    tested = {
        (one.key, one.pattern, _account(one))
        for role in (before, after)
        for one in trusted_accounts(role)
    }
    for key, pattern, account in sorted(tested):
        only = Literal(frozenset({pattern}))
        one, other = (old.where(key, only), new.where(key, only)) if key else (old, new)
        kind, what = _assumed(one, other)
        if kind != SAME:
            found = True
            yield _change(after, account, kind, what)
    web = _principals(old) | _principals(new)
    for principal in sorted(web):
        if tested and principal.startswith("Federated "):
            continue
        only = Literal(frozenset({principal}))
        kind, what = _assumed(old.where(PRINCIPAL, only), new.where(PRINCIPAL, only))
        if kind != SAME and not (principal == MANY and found):
            found = True
            yield _change(after, _principal_shown(principal), kind, what)
    kind, what = _assumed(old, new)
    if kind != SAME and not found:
        yield _change(after, "whomever the trust policy lets in", kind, what)


def _assumed(old: Policy, new: Policy) -> tuple[str, str]:
    """Compare who may assume a role."""
    kind, _ = compared(old, new, in_words=False)
    if kind == SAME:
        return SAME, ""
    if old.is_nothing:
        return GAINED, "may assume the role" + _when(new)
    if new.is_nothing:
        return LOST, "may not assume the role any more"
    now, before = (_when(one) or " unconditionally" for one in (new, old))
    return kind, f"may assume the role{now}, before{before}"


def _when(policy: Policy) -> str:
    words = [
        " and ".join(statement_words(box.statement)["conditions"]) or "always"
        for box in policy.allows
    ]
    return f" when {' or '.join(dict.fromkeys(words))}" if words else ""


def compared(old: Policy, new: Policy, *, in_words: bool = True) -> tuple[str, str]:
    """Return how *new* is to *old*, and what is more and less."""
    more, less = excess(new, old), excess(old, new)
    if not more.pieces and not less.pieces:
        return SAME, ""
    kind = (
        NARROWED
        if not more.pieces
        else WIDENED
        if more.is_certain and not less.pieces
        else INCOMPARABLE
    )
    if not in_words:
        return kind, ""
    sentences = []
    if more.pieces:
        sentences.append(f"may {'' if more.is_certain else 'perhaps '}now {_words(more, old)}")
    if less.pieces:
        sentences.append(
            f"may {'' if less.is_certain else 'perhaps '}no longer {_words(less, new)}"
        )
    return kind, "; ".join(sentences)


def _words(found: Excess, other: Policy) -> str:
    """Write what is in excess: actions on resources, with conditions."""
    lines: dict[str, None] = {}
    for box in _statements(found.pieces):
        for line in _lines(box, other):
            lines[line] = None
    shown_lines = list(lines)[:_SHOWN_AT_MOST]
    rest = len(lines) - len(shown_lines)
    return ", ".join(shown_lines) + (f" and {rest} more" if rest else "")


def _statements(pieces: Iterable[Box]) -> Iterator[Box]:
    seen: set[int] = set()
    for piece in pieces:
        if id(piece.statement) not in seen:
            seen.add(id(piece.statement))
            yield piece


def _lines(piece: Box, other: Policy) -> Iterator[str]:
    statement = piece.statement
    if "ManagedPolicy" in statement:
        yield f"what {short_policy(str(statement['ManagedPolicy']))} allows"
        return
    words = statement_words(statement)
    when = f" when {' and '.join(words['conditions'])}" if words["conditions"] else ""
    actions, resources = listed(statement.get("Action")), listed(statement.get("Resource"))
    count = len(actions) * len(resources)
    if not actions or not resources or count > _COMBINATIONS_AT_MOST:
        yield f"{_actions(words)} on {_resources(words)}{when}"
        return
    by_resources: dict[tuple[str, ...], list[str]] = {}
    for action in actions:
        hit = tuple(
            shown(str(resource))
            for resource in resources
            if _is_in_excess(piece, str(action), str(resource), other)
        )
        if hit:
            by_resources.setdefault(hit, []).append(shown(str(action)))
    for hit, several in by_resources.items():
        yield f"{' '.join(several)} on {' '.join(hit)}{when}"


def _is_in_excess(piece: Box, action: str, resource: str, other: Policy) -> bool:
    one = Policy(allows=(piece,))
    one = one.where(ACTION, Literal(frozenset({glob(action, like=True, variables=True).lower()})))
    one = one.where(RESOURCE, Literal(frozenset({glob(resource, like=True, variables=True)})))
    return bool(one.allows) and bool(excess(one, other).pieces)


def _actions(words: Mapping[str, Any]) -> str:
    return " ".join(words.get("actions", [])) or f"all but {' '.join(words.get('not_actions', []))}"


def _resources(words: Mapping[str, Any]) -> str:
    listed_words = words.get("resources", [])
    return " ".join(listed_words) or f"all but {' '.join(words.get('not_resources', []))}"


def _summary(role: Role) -> str:
    lines = [
        f"{_actions(words)} on {_resources(words)}"
        for document in role.policies
        for one in document.outcomes
        if isinstance(one, Mapping)
        for statement in listed(one.get("Statement"))
        if isinstance(statement, Mapping) and statement.get("Effect") == "Allow"
        for words in [statement_words(statement)]
    ]
    lines += [f"what {short_policy(arn)} allows" for arn in role.managed]
    rest = len(lines) - _SHOWN_AT_MOST
    return (
        "may assume the role: "
        + (", ".join(lines[:_SHOWN_AT_MOST]) or "no permissions")
        + (f" and {rest} more" if rest > 0 else "")
    )


def _binding_changes(
    old: Facts,
    new: Facts,
    keys: Mapping[str, str],
    keys_now: Mapping[str, str],
    already: Sequence[Change],
) -> Iterator[Change]:
    def edges(facts: Facts, known: Mapping[str, str]) -> dict[tuple[str, str, str], Binding]:
        return {
            (f"{one.namespace}/{one.name}", known.get(one.role, one.role), one.target): one
            for one in facts.bindings
        }

    before, after = edges(old, keys), edges(new, keys_now)
    said = {(change.subject, change.role, change.kind) for change in already}
    for kind, facts, here, there in ((GAINED, new, after, before), (LOST, old, before, after)):
        for key in sorted(set(here) - set(there)):
            binding = here[key]
            role = facts.roles.get(binding.role)
            name = role.name if role else short_role(binding.role)
            subject = shown(key[0])
            if (subject, name, kind) in said:
                continue
            target = f", which goes on to {short_role(binding.target)}" if binding.target else ""
            yield Change(
                subject=subject,
                role=name,
                kind=kind,
                what=f"{'bound' if kind == GAINED else 'no longer bound'} by {binding.how}{target}",
                path=binding.at.path,
                line=binding.at.line or 0,
            )


def _entry_changes(old: Sequence[AccessEntry], new: Sequence[AccessEntry]) -> Iterator[Change]:
    def grants(entries: Sequence[AccessEntry]) -> dict[tuple[str, str], AccessEntry]:
        return {(one.principal, grant): one for one in entries for grant in one.grants}

    before, after = grants(old), grants(new)
    for kind, here, there in ((GAINED, after, before), (LOST, before, after)):
        for principal, grant in sorted(set(here) - set(there)):
            entry = here[principal, grant]
            yield Change(
                subject=shown(principal),
                role=grant.partition(" on ")[0],
                kind=kind,
                what=f"access to Kubernetes: {shown(grant)}",
                path=entry.at.path,
                line=entry.at.line or 0,
            )


def _provider_changes(old: Facts, new: Facts) -> Iterator[Change]:
    before = {normal_issuer(one.issuer): one for one in old.providers}
    for provider in new.providers:
        earlier = before.get(normal_issuer(provider.issuer))
        if earlier is None:
            continue
        for kind, more, less in (
            (WIDENED, provider.client_ids, earlier.client_ids),
            (NARROWED, earlier.client_ids, provider.client_ids),
        ):
            added = sorted(set(more) - set(less))
            if added:
                yield Change(
                    subject=f"tokens of {shown(provider.issuer)}",
                    role=provider.at.resource,
                    kind=kind,
                    what=f"audience {', '.join(map(shown, added))} is"
                    f" {'now' if kind == WIDENED else 'no longer'} accepted",
                    path=provider.at.path,
                    line=provider.at.line or 0,
                )
