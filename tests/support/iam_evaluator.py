"""Does IAM allow it? Identity policies evaluated as IAM's reference describes, and no more.

What the evaluator does not know (an operator, a policy variable, `NotPrincipal`) it refuses, so
that a table of allowed and denied calls cannot pass by accident.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Context = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Resource:
    """One resource of a call, with the condition keys that AWS sets for it."""

    arn: str
    context: Context = field(default_factory=dict)


def allowed(
    documents: Iterable[Mapping[str, Any]],
    action: str,
    *resources: Resource | str,
    context: Context | None = None,
) -> bool:
    """Whether a call is allowed: on every resource that it touches, and denied on none.

    Args:
        documents: identity policies of the caller.
        action: such as `ec2:CreateTags`.
        resources: what the call touches; `*` stands for a call without a resource level.
        context: condition keys of the call itself, such as `aws:RequestTag/Team`.
    """
    statements = [one for document in documents for one in _list(document["Statement"])]
    touched = [Resource(one) if isinstance(one, str) else one for one in resources or ("*",)]
    for resource in touched:
        keys = {
            key.lower(): _list(value)
            for key, value in {**(context or {}), **resource.context}.items()
        }
        effects = {
            statement["Effect"]
            for statement in statements
            if _applies(statement, action, resource.arn, keys)
        }
        if effects != {"Allow"}:
            return False
    return True


def _applies(
    statement: Mapping[str, Any], action: str, arn: str, keys: Mapping[str, Sequence[str]]
) -> bool:
    unknown = set(statement) - {
        "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition",
    }  # fmt: skip
    if unknown:
        raise NotImplementedError(f"elements {sorted(unknown)} of a statement")
    return (
        _named(statement, "Action", action, case_sensitive=False)
        and _named(statement, "Resource", arn, case_sensitive=True)
        and all(
            _holds(operator, key, _list(wanted), keys)
            for operator, tests in statement.get("Condition", {}).items()
            for key, wanted in tests.items()
        )
    )


def _named(statement: Mapping[str, Any], element: str, value: str, *, case_sensitive: bool) -> bool:
    """Whether the element, or its `Not` form, takes *value* in."""
    if element in statement:
        return any(
            _like(one, value, case_sensitive=case_sensitive) for one in _list(statement[element])
        )
    return not _named(
        {element: statement[f"Not{element}"]}, element, value, case_sensitive=case_sensitive
    )


def _holds(
    operator: str, key: str, wanted: Sequence[str], keys: Mapping[str, Sequence[str]]
) -> bool:
    found = keys.get(key.lower())
    if operator == "Null":
        return (found is None) == (wanted[0].lower() == "true")
    quantifier, _, test = operator.rpartition(":")
    if test.endswith("IfExists"):
        if found is None:
            return True
        test = test.removesuffix("IfExists")
    negated = "Not" in test
    if test not in _TESTS or quantifier not in ("", *_QUANTIFIERS):
        raise NotImplementedError(f"condition operator {operator}")

    def matches(value: str) -> bool:
        return any(_TESTS[test](one, value) for one in wanted)

    if quantifier:
        return _QUANTIFIERS[quantifier](matches(value) is not negated for value in found or ())
    if found is None:
        return negated
    if len(found) != 1:
        raise NotImplementedError(f"several values of {key} without ForAllValues or ForAnyValue")
    return matches(found[0]) is not negated


def _equals(pattern: str, value: str) -> bool:
    return pattern == value


def _equals_ignoring_case(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


def _string_like(pattern: str, value: str) -> bool:
    return _like(pattern, value, case_sensitive=True)


def _arn_like(pattern: str, value: str) -> bool:
    """Compare each of the six parts by itself: a wildcard does not reach over a colon."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(values) and all(map(_string_like, patterns, values))


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _equals,
    "StringNotEquals": _equals,
    "StringEqualsIgnoreCase": _equals_ignoring_case,
    "StringLike": _string_like,
    "StringNotLike": _string_like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": _equals_ignoring_case,
}


_QUANTIFIERS: Mapping[str, Callable[[Iterable[bool]], bool]] = {
    "ForAllValues": all,
    "ForAnyValue": any,
}


def _like(pattern: str, value: str, *, case_sensitive: bool) -> bool:
    if "${" in pattern:
        raise NotImplementedError(f"policy variable in {pattern}")
    expression = "".join(
        {"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern
    )
    flags = re.DOTALL if case_sensitive else re.DOTALL | re.IGNORECASE
    return re.fullmatch(expression, value, flags) is not None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
