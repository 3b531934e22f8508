"""Policies as sets of requests: whether one allows all that another does.

A statement is a box: of all requests, those whose action, resource, principal and condition keys
are each in a set of texts. What a policy allows is the boxes of its `Allow` without those of its
`Deny`. Order, Sid, a list or one value, a statement split in two make no difference.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irsa_stack.iam.conditions import MalformedError, NotToldError, Test, conditions_of, listed
from irsa_stack.iam.globs import MANY
from irsa_stack.iam.languages import Literal, glob, is_empty

ACTION, RESOURCE, PRINCIPAL = "action", "resource", "principal"
PIECES_AT_MOST = 4_000

_OPAQUE = "opaque "
_MANAGED = "managed "
_TRUE = Literal(frozenset({"true"}))
_WHOLE_ACCOUNT = re.compile(r"arn:[^:]+:iam::(\d{12}):root")

Dimensions = Mapping[str, frozenset[Literal]]


@dataclass(frozen=True, kw_only=True)
class Box:
    """The requests that one statement is about.

    Args:
        factors: what must hold, each of one dimension; all of them.
        statement: the statement, as written.
        policy: the name of its policy.
    """

    factors: tuple[tuple[str, Literal], ...]
    statement: Mapping[str, Any] = field(default_factory=dict, compare=False)
    policy: str = field(default="", compare=False)

    @property
    def dimensions(self) -> dict[str, frozenset[Literal]]:
        """The factors by their dimension."""
        found: dict[str, set[Literal]] = {}
        for name, literal in self.factors:
            found.setdefault(name, set()).add(literal)
        return {name: frozenset(literals) for name, literals in found.items()}

    def both(self, other: "Box") -> "Box":
        """The requests in both."""
        factors = tuple(dict.fromkeys((*self.factors, *other.factors)))
        return Box(factors=factors, statement=self.statement, policy=self.policy)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What documents allow together.

    Args:
        allows: boxes of `Allow`.
        denies: boxes of `Deny`.
    """

    allows: tuple[Box, ...] = ()
    denies: tuple[Box, ...] = ()

    def __add__(self, other: "Policy") -> "Policy":
        """What either allows, and neither denies."""
        return Policy(allows=self.allows + other.allows, denies=self.denies + other.denies)

    def within(self, boundary: "Policy") -> "Policy":
        """What both allow, and neither denies."""
        return Policy(
            allows=tuple(
                both
                for one in self.allows
                for other in boundary.allows
                if _emptiness((both := one.both(other)).dimensions) is not True
            ),
            denies=self.denies + boundary.denies,
        )

    def where(self, dimension: str, literal: Literal) -> "Policy":
        """What it allows of the requests that have *literal* in *dimension*."""
        only = Box(factors=((dimension, literal),))
        return Policy(
            allows=tuple(
                both
                for one in self.allows
                if _emptiness((both := one.both(only)).dimensions) is not True
            ),
            denies=self.denies,
        )

    @property
    def is_nothing(self) -> bool:
        """Whether it surely allows nothing."""
        return not excess(self, Policy()).pieces


@dataclass(frozen=True, kw_only=True)
class Excess:
    """What a policy allows that another does not.

    Args:
        pieces: the boxes of it, each surely or perhaps not empty.
        is_certain: whether at least one of them surely holds a request.
    """

    pieces: tuple[Box, ...]
    is_certain: bool


def policy_of(document: Mapping[str, Any], name: str = "") -> Policy:
    """Return what one document allows.

    Args:
        document: an identity or a trust policy; its texts may hold deploy-time values.
        name: what to call it.
    """
    allows: list[Box] = []
    denies: list[Box] = []
    variables = str(document.get("Version")) == "2012-10-17"
    for raw in listed(document.get("Statement")):
        statement = raw if isinstance(raw, Mapping) else {"Effect": "Allow", "Untold": raw}
        try:
            factors = tuple(_factors(statement, variables=variables))
        except (NotToldError, MalformedError, TypeError):
            factors = ((_OPAQUE + _canonical(statement), _TRUE),)
        box = Box(factors=factors, statement=statement, policy=name)
        (denies if statement.get("Effect") == "Deny" else allows).append(box)
    return Policy(allows=tuple(allows), denies=tuple(denies))


def managed_policy(arn: str) -> Policy:
    """Return a policy whose content is not known: it is itself, and nothing else has what it has.

    Args:
        arn: its ARN.
    """
    name = re.sub(r"^arn:[^:]*:iam::aws:policy/", "arn:aws:iam::aws:policy/", arn)
    statement = {"Effect": "Allow", "ManagedPolicy": arn}
    return Policy(allows=(Box(factors=((_MANAGED + name, _TRUE),), statement=statement),))


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _factors(statement: Mapping[str, Any], *, variables: bool) -> Iterator[tuple[str, Literal]]:
    if "Action" not in statement and "NotAction" not in statement:
        raise MalformedError("statement must have an Action, got none; write one")
    for element, dimension in (("Action", ACTION), ("Resource", RESOURCE)):
        for written, positive in ((element, True), (f"Not{element}", False)):
            if written in statement:
                texts = [_text(text) for text in listed(statement[written])]
                patterns = [glob(text, like=True, variables=variables) for text in texts]
                if dimension == ACTION:
                    patterns = [pattern.lower() for pattern in patterns]
                yield dimension, Literal(frozenset(patterns), positive=positive)
    for written, positive in (("Principal", True), ("NotPrincipal", False)):
        if written in statement:
            yield PRINCIPAL, Literal(_principals(statement[written]), positive=positive)
    for test in conditions_of(statement.get("Condition"), variables=variables):
        yield from _test_factors(test, variables=variables)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _principals(value: object) -> frozenset[str]:
    if value == "*":
        return frozenset({MANY})
    if not isinstance(value, Mapping):
        raise TypeError(value)
    found = set()
    for kind, names in value.items():
        for name in listed(names):
            text = _WHOLE_ACCOUNT.sub(r"\1", _text(name))
            if kind == "AWS" and text == "*":
                found.add(MANY)
            else:
                shown = glob(f"{kind} {text}", like=False, variables=False)
                found.add(shown.replace("*", MANY) if kind == "Federated" else shown)
    return frozenset(found)


def _test_factors(test: Test, *, variables: bool) -> Iterator[tuple[str, Literal]]:
    if _is_opaque(test):
        values = sorted({str(value) for value in test.values})
        yield f"{_OPAQUE}{test.name} {test.operator.lower()} {values}", _TRUE
        return
    if test.kind == "null":
        patterns: Iterable[str] = test.patterns
    else:
        patterns = (
            glob(
                _written(value),
                like=test.takes_wildcards,
                variables=variables,
                in_parts=test.kind == "arn",
            )
            for value in test.values
        )
        if test.ignores_case:
            patterns = [pattern.lower() for pattern in patterns]
    yield (
        test.name,
        Literal(
            frozenset(patterns),
            positive=not test.negated,
            absent=test.absent,
            ignores_case=test.ignores_case,
        ),
    )


def _is_opaque(test: Test) -> bool:
    """Whether the test compares what is no single text."""
    # A claim has one value: what asks for all or any of its values asks for that one.
    if (":" in test.operator and not test.name.endswith((":sub", ":aud"))) or test.kind in (
        "numeric",
        "date",
        "ip",
        "binary",
    ):
        return True
    return test.kind == "arn" and any(str(value).count(":") < 5 for value in test.values)  # noqa: PLR2004 (an ARN's six parts)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def excess(new: Policy, old: Policy) -> Excess:
    """Return what *new* allows and *old* does not."""
    left: list[Box] = []
    is_certain = False
    for box in new.allows:
        for rest in _rest(box, new, old):
            emptiness = _emptiness(rest.dimensions)
            if emptiness is True:
                continue
            left.append(rest)
            is_certain = is_certain or emptiness is False
    return Excess(pieces=tuple(left), is_certain=is_certain)


def _rest(box: Box, new: Policy, old: Policy) -> Iterator[Box]:
    allowed = _without([box], new.denies)
    if allowed is None:
        yield _untold(box)
        return
    ungranted = _without(allowed, old.allows)
    yield from [_untold(box)] if ungranted is None else ungranted
    for deny in old.denies:
        yield from (
            both for one in allowed if _emptiness((both := one.both(deny)).dimensions) is not True
        )


def _untold(box: Box) -> Box:
    """Return *box* as one that may hold a request, or none."""
    untold = (f"{_OPAQUE}too many pieces", _TRUE)
    other = (f"{_OPAQUE}too many pieces ", _TRUE)
    return Box(factors=(*box.factors, untold, other), statement=box.statement, policy=box.policy)


def _without(boxes: Sequence[Box], others: Sequence[Box]) -> list[Box] | None:
    """Return *boxes* without the requests in *others*; None if that is too much to follow."""
    left = list(boxes)
    for other in others:
        following: list[Box] = []
        for box in left:
            following += _pieces(box, other)
            if len(following) > PIECES_AT_MOST:
                return None
        left = following
    return left


def _pieces(box: Box, other: Box) -> list[Box]:
    if _emptiness(box.both(other).dimensions) is True:
        return [box]
    found = []
    so_far = box
    for name, literal in other.factors:
        outside = Box(factors=((name, literal.complement),))
        piece = so_far.both(outside)
        if _emptiness(piece.dimensions) is not True:
            found.append(piece)
        so_far = so_far.both(Box(factors=((name, literal),)))
    return found


def _emptiness(dimensions: Dimensions) -> bool | None:
    """Whether no request is in all *dimensions*; None if that cannot be told."""
    is_sure = _opaque_is_sure(dimensions)
    for name, literals in dimensions.items():
        is_key = name not in (ACTION, RESOURCE, PRINCIPAL) and not name.startswith(
            (_OPAQUE, _MANAGED)
        )
        if is_key and all(one.absent for one in literals):
            continue
        empty = is_empty(literals)
        if empty:
            return True
        is_sure = is_sure and empty is False
    return False if is_sure else None


def _opaque_is_sure(dimensions: Dimensions) -> bool:
    """Whether tests that are not followed leave a request: at most one of a key, none beside it."""
    keys = [
        name.removeprefix(_OPAQUE).split(" ")[0] for name in dimensions if name.startswith(_OPAQUE)
    ]
    return len(keys) == len(set(keys)) and not any(key in dimensions for key in keys)
