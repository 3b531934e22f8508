"""Statements of a trust policy: who, what, and on which conditions, as IAM reads them.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.iam import globs
from irsa_stack.iam.conditions import (
    MalformedError,
    NotToldError,
    Test,
    conditions_of,
    is_whole_token,
    listed,
)

WEB_IDENTITY = "sts:assumerolewithwebidentity"
ASSUME_ROLE = "sts:assumerole"
TAG_SESSION = "sts:tagsession"

_ELEMENTS = ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition")
_DOCUMENT_ELEMENTS = ("Version", "Id", "Statement")
_EFFECTS = ("Allow", "Deny")
_KINDS = ("AWS", "Federated", "Service", "CanonicalUser")


@dataclass(frozen=True, kw_only=True)
class Principals:
    """Whom a `Principal` or `NotPrincipal` names.

    Args:
        everybody: whether it is `*`.
        named: names by kind, as written.
    """

    everybody: bool
    named: Mapping[str, tuple[Any, ...]]

    def of(self, kind: str) -> tuple[Any, ...]:
        """Return the names of one kind."""
        return self.named.get(kind, ())

    def includes(self, kind: str, name: str | None) -> bool:
        """Whether *name* of *kind* is surely meant; None stands for one that nobody named."""
        if self.everybody or "*" in self.of("AWS") or "*" in self.of(kind):
            return True
        return name is not None and name in self.of(kind)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a trust policy.

    Args:
        position: its number in the document, from 0.
        allows: whether its effect is `Allow`; else it is `Deny`.
        principals: whom it names.
        negated_principals: whether it means all but those.
        actions: patterns of actions, in lower case; None if it has none.
        negated_actions: whether it means all actions but those.
        tests: its conditions, all of which must pass.
    """

    position: int
    allows: bool
    principals: Principals
    negated_principals: bool
    actions: tuple[str, ...]
    negated_actions: bool
    tests: tuple[Test, ...]
    raw: Mapping[str, Any]

    def may_be_for(self, action: str) -> bool:
        """Whether it can be about *action*, in lower case."""
        if self.negated_actions:
            return not any(globs.matches(pattern, action) for pattern in self.actions)
        return any(globs.overlap(globs.may_be(pattern), action) for pattern in self.actions)

    def is_for(self, action: str) -> bool:
        """Whether it surely is about *action*, in lower case."""
        if self.negated_actions:
            return not any(globs.overlap(globs.may_be(pattern), action) for pattern in self.actions)
        return any(globs.matches(pattern, action) for pattern in self.actions)

    def surely_means(self, kind: str, name: str | None) -> bool:
        """Whether a principal of *kind* called *name* is surely meant."""
        if not self.negated_principals:
            return self.principals.includes(kind, name)
        principals = self.principals
        known = not any(is_deploy_time(one) for one in principals.of(kind))
        return known and not principals.everybody and not principals.includes(kind, name)


def respelt(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return *document* with its elements spelt as IAM spells them, and what was wrong with them.

    IAM refuses other spellings; what the document would mean is judged all the same.
    """
    faults: list[str] = []
    found = _with_names(document, _DOCUMENT_ELEMENTS, "trust policy", faults)
    statements = found.get("Statement")
    if isinstance(statements, list | Mapping):
        spelt = [_respelt_statement(one, faults) for one in listed(statements)]
        found["Statement"] = spelt if isinstance(statements, list) else spelt[0]
    return found, faults


def _respelt_statement(raw: object, faults: list[str]) -> object:
    if not isinstance(raw, Mapping):
        return raw
    found = _with_names(raw, _ELEMENTS, "statement", faults)
    effect = found.get("Effect")
    if isinstance(effect, str) and effect not in _EFFECTS and effect.title() in _EFFECTS:
        found["Effect"] = effect.title()
        faults.append(f"Effect must be 'Allow' or 'Deny', got {effect!r}; write {effect.title()!r}")
    for element in ("Principal", "NotPrincipal"):
        if isinstance(found.get(element), Mapping):
            found[element] = _with_names(found[element], _KINDS, element, faults)
    return found


def _with_names(
    raw: Mapping[str, Any], names: tuple[str, ...], of: str, faults: list[str]
) -> dict[str, Any]:
    spelt = {name.lower(): name for name in names}
    found = {}
    for key, value in raw.items():
        name = spelt.get(str(key).lower(), key)
        if name != key:
            faults.append(
                f"{of} must have {name!r}, got {key!r}; write {name!r}, because letter case counts"
            )
        found[name] = value
    return found


def statements_of(document: Mapping[str, Any]) -> Iterator[Any]:
    """Return the statements of *document* as written, one or many.

    Raises:
        NotToldError: they are known only at deploy time.
        MalformedError: the document is no policy.
    """
    for element in document:
        if element not in _DOCUMENT_ELEMENTS:
            raise MalformedError(
                f"trust policy must have the elements {', '.join(_DOCUMENT_ELEMENTS)}, got"
                f" {element!r}; remove it"
            )
    found = document.get("Statement")
    if is_whole_token(found):
        raise NotToldError("Statement")
    if not isinstance(found, list | Mapping) or not found:
        raise MalformedError(
            f"Statement must be a list of statements, got {found!r}; write at least one"
        )
    yield from listed(found)


def statement_of(raw: object, position: int, *, variables: bool) -> Statement:
    """Read one statement.

    Args:
        raw: as written; its parts may be known only at deploy time.
        position: its number in the document, from 0.
        variables: whether the document's version has policy variables.

    Raises:
        NotToldError: whom it lets in cannot be told.
        MalformedError: IAM would refuse it.
    """
    if is_whole_token(raw):
        raise NotToldError("")
    if not isinstance(raw, Mapping):
        raise MalformedError(f"statement must be an object, got {raw!r}; correct it")
    for element in raw:
        if element not in _ELEMENTS:
            raise MalformedError(
                f"statement must have the elements of a trust policy, got {element!r}; remove it"
            )
    effect = raw.get("Effect")
    if effect not in _EFFECTS:
        if is_deploy_time(effect) or is_whole_token(effect):
            raise NotToldError("Effect")
        raise MalformedError(f"Effect must be 'Allow' or 'Deny', got {effect!r}; write 'Allow'")
    negated_principals = "NotPrincipal" in raw
    negated_actions = "NotAction" in raw
    actions = listed(raw.get("NotAction" if negated_actions else "Action"))
    if not actions:
        raise MalformedError(
            "statement must have an Action, got none; write 'sts:AssumeRoleWithWebIdentity'"
        )
    return Statement(
        position=position,
        allows=effect == "Allow",
        principals=_principals(raw.get("NotPrincipal" if negated_principals else "Principal")),
        negated_principals=negated_principals,
        actions=tuple(_action(action) for action in actions),
        negated_actions=negated_actions,
        tests=tuple(conditions_of(raw.get("Condition"), variables=variables)),
        raw=raw,
    )


def _action(action: object) -> str:
    if not isinstance(action, str):
        raise MalformedError(f"Action must be text, got {action!r}; correct it")
    if is_deploy_time(action):
        return globs.UNKNOWN
    return action.lower().replace("*", globs.MANY).replace("?", globs.ONE)


def _principals(value: object) -> Principals:
    if is_whole_token(value):
        raise NotToldError("Principal")
    if value == "*":
        return Principals(everybody=True, named={})
    if not isinstance(value, Mapping) or not value:
        raise MalformedError(
            "Principal must be '*' or an object, got"
            f" {value!r}; write {{'Federated': ARN of the provider}}"
        )
    named = {}
    for kind, names in value.items():
        if kind not in _KINDS:
            raise MalformedError(
                f"Principal must name one of {', '.join(_KINDS)}, got {kind!r}; remove it"
            )
        named[kind] = tuple(listed(names))
        for name in named[kind]:
            if not isinstance(name, str):
                raise MalformedError(f"Principal.{kind} must be text, got {name!r}; correct it")
    return Principals(everybody=False, named=named)
