"""Does IAM allow it? Identity and trust policies, evaluated as IAM's reference describes.

Independent of `irsa_stack` on purpose: it reads policies, and knows nothing of who wrote them. What
it does not know (an operator, an element) it refuses, so that no table passes by accident.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Context = Mapping[str, str | Sequence[str]]
WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
_OF_TRUST = {"Principal", "NotPrincipal"}


@dataclass(frozen=True)
class Resource:
    """One resource of a call, with the condition keys that AWS sets for it."""

    arn: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Caller:
    """Who calls: a kind of principal, its name, and the keys of its request."""

    kind: str
    name: str
    context: Context = field(default_factory=dict)


def allowed(
    documents: Iterable[Mapping[str, Any]],
    action: str,
    *resources: Resource | str,
    context: Context | None = None,
) -> bool:
    """Whether identity policies allow a call: on every resource that it touches, denied on none.

    Args:
        documents: identity policies of the caller.
        action: such as `ec2:CreateTags`.
        resources: what the call touches; `*` stands for a call without a resource level.
        context: condition keys of the call itself, such as `aws:RequestTag/Team`.
    """
    listed = [(one, document) for document in documents for one in _list(document["Statement"])]
    touched = [Resource(one) if isinstance(one, str) else one for one in resources or ("*",)]
    return all(
        _effects(listed, action, resource.arn, {**(context or {}), **resource.context}) == {"Allow"}
        for resource in touched
    )


def assumes(policy: Mapping[str, Any], caller: Caller, action: str) -> bool:
    """Whether a trust policy allows *caller* the *action*."""
    listed = [(one, policy) for one in _list(policy["Statement"]) if _means(one, caller)]
    return _effects(listed, action, None, caller.context) == {"Allow"}


def may_assume(
    policy: Mapping[str, Any],
    *,
    provider_arn: str,
    claims: Context,
    issuer: str | None = None,
    action: str = WEB_IDENTITY,
) -> bool:
    """Whether STS would let in a token that *provider_arn* vouches for."""
    prefix = provider_arn.partition(":oidc-provider/")[2] if issuer is None else issuer
    context = {f"{prefix}:{claim}": value for claim, value in claims.items()}
    return assumes(policy, Caller("Federated", provider_arn, context), action)


def _means(statement: Mapping[str, Any], caller: Caller) -> bool:
    if "NotPrincipal" in statement:
        return not _is_named(statement["NotPrincipal"], caller)
    return _is_named(statement["Principal"], caller)


def _is_named(principal: Any, caller: Caller) -> bool:
    """Whether an element names the caller; `*` and `{"AWS": "*"}` are the same, and everybody."""
    if principal == "*":
        return True
    for kind, names in principal.items():
        assert kind in ("AWS", "Federated", "Service", "CanonicalUser"), kind
        for name in _list(names):
            if name == "*" and kind in ("AWS", caller.kind):
                return True
            if kind != caller.kind:
                continue
            account = caller.name.split(":")[4] if caller.name.startswith("arn:") else None
            if name == caller.name or (
                kind == "AWS" and account and name in (account, f"arn:aws:iam::{account}:root")
            ):
                return True
    return False


def _effects(
    listed: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]],
    action: str,
    arn: str | None,
    context: Context,
) -> set[str]:
    keys = {key.lower(): _list(value) for key, value in context.items()}
    return {
        statement["Effect"]
        for statement, document in listed
        if _applies(
            statement, action, arn, keys, has_variables=document.get("Version") == "2012-10-17"
        )
    }


def _applies(
    statement: Mapping[str, Any],
    action: str,
    arn: str | None,
    keys: Mapping[str, Sequence[str]],
    *,
    has_variables: bool,
) -> bool:
    unknown = set(statement) - _ELEMENTS - (_OF_TRUST if arn is None else set())
    if unknown:
        raise NotImplementedError(f"elements {sorted(unknown)} of a statement")
    return (
        _named(statement, "Action", action, case_sensitive=False)
        and (arn is None or _named(statement, "Resource", arn, case_sensitive=True))
        and all(
            _holds(operator, key, _list(wanted), keys, has_variables=has_variables)
            for operator, tests in (statement.get("Condition") or {}).items()
            for key, wanted in tests.items()
        )
    )


def _named(statement: Mapping[str, Any], element: str, value: str, *, case_sensitive: bool) -> bool:
    """Whether the element, or its `Not` form, takes *value* in."""
    if element in statement:
        if "${" in str(statement[element]):
            raise NotImplementedError(f"policy variable in {element}")
        return any(
            _like(one, value, case_sensitive=case_sensitive) for one in _list(statement[element])
        )
    return not _named(
        {element: statement[f"Not{element}"]}, element, value, case_sensitive=case_sensitive
    )


def _holds(
    operator: str,
    key: str,
    wanted: Sequence[Any],
    keys: Mapping[str, Sequence[str]],
    *,
    has_variables: bool,
) -> bool:
    found = keys.get(key.lower())
    texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in wanted]
    written, operator = operator, operator.lower()
    if operator == "null":
        return any((found is None) == (text.lower() == "true") for text in texts)
    quantifier, _, test = operator.rpartition(":")
    if test.endswith("ifexists"):
        if found is None:
            return True
        test = test.removesuffix("ifexists")
    negated = "not" in test
    test = test.replace("not", "")
    if test not in _TESTS or quantifier not in ("", *_QUANTIFIERS):
        raise NotImplementedError(f"condition operator {written}")

    def matches(value: str) -> bool:
        return any(
            _TESTS[test](pattern, value)
            for text in texts
            for pattern in _filled_in(text, keys, has_variables=has_variables, wild=test in _WILD)
        )

    if quantifier:
        return _QUANTIFIERS[quantifier](matches(value) is not negated for value in found or ())
    if found is None:
        return negated
    if len(found) != 1:
        raise NotImplementedError(f"several values of {key} without ForAllValues or ForAnyValue")
    return matches(found[0]) is not negated


def _filled_in(
    text: str, keys: Mapping[str, Sequence[str]], *, has_variables: bool, wild: bool
) -> list[str]:
    """The text with its policy variables; none if the request lacks one of them."""
    if not has_variables or "${" not in text:
        return [text]
    missing = []

    def one(variable: re.Match[str]) -> str:
        name, comma, default = variable[1].partition(",")
        if name in ("*", "?", "$"):
            return _escaped(name) if wild else name
        found = keys.get(name.strip().lower())
        if found is None and comma:
            return default.strip().strip("'")
        if found is None or len(found) != 1:
            missing.append(name)
            return ""
        return _escaped(found[0]) if wild else found[0]

    filled = re.sub(r"\$\{([^}]*)\}", one, text)
    return [] if missing else [filled]


_STAR, _MARK = "\ue000", "\ue001"


def _escaped(text: str) -> str:
    return text.replace("*", _STAR).replace("?", _MARK)


def _equals(pattern: str, value: str) -> bool:
    return pattern == value


def _equals_ignoring_case(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


def _string_like(pattern: str, value: str) -> bool:
    return _like(pattern, value, case_sensitive=True)


def _arn_like(pattern: str, value: str) -> bool:
    """Compare each of the six parts by itself: a wildcard does not reach over a colon."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(values) == 6 and len(patterns) == 6 and all(map(_string_like, patterns, values))


def _in_network(pattern: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def test(pattern: str, value: str) -> bool:
        try:
            return compare(float(value), float(pattern))
        except ValueError:
            return False

    return test


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "stringequals": _equals,
    "stringequalsignorecase": _equals_ignoring_case,
    "stringlike": _string_like,
    "arnequals": _arn_like,
    "arnlike": _arn_like,
    "bool": _equals_ignoring_case,
    "ipaddress": _in_network,
    "numericequals": _number(lambda value, wanted: value == wanted),
    "numericlessthan": _number(lambda value, wanted: value < wanted),
    "numericgreaterthan": _number(lambda value, wanted: value > wanted),
}
_WILD = ("stringlike", "arnequals", "arnlike")
_QUANTIFIERS: Mapping[str, Callable[[Iterable[bool]], bool]] = {
    "forallvalues": all,
    "foranyvalue": any,
}


def _like(pattern: str, value: str, *, case_sensitive: bool) -> bool:
    expression = "".join(
        {"*": ".*", "?": ".", _STAR: r"\*", _MARK: r"\?"}.get(letter, re.escape(letter))
        for letter in pattern
    )
    flags = re.DOTALL if case_sensitive else re.DOTALL | re.IGNORECASE
    return re.fullmatch(expression, value, flags) is not None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
