"""A little of IAM: whom a trust policy lets assume its role. Written from IAM's own description.

Independent of `irsa_stack` on purpose: it reads policies, and knows nothing of who wrote them.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

ACTION = "sts:AssumeRoleWithWebIdentity"


def may_assume(
    policy: Mapping[str, Any],
    *,
    provider_arn: str,
    claims: Mapping[str, str | Sequence[str]],
    issuer: str | None = None,
    action: str = ACTION,
) -> bool:
    """Whether STS would let in a token that *provider_arn* vouches for."""
    prefix = provider_arn.partition(":oidc-provider/")[2] if issuer is None else issuer
    context = {f"{prefix}:{claim}".lower(): _list(value) for claim, value in claims.items()}
    statements = _list(policy["Statement"])
    effects = {
        statement["Effect"]
        for statement in statements
        if _is_for(statement, provider_arn, action)
        and all(
            _holds(operator, key, wanted, context)
            for operator, tests in statement.get("Condition", {}).items()
            for key, wanted in tests.items()
        )
    }
    return "Allow" in effects and "Deny" not in effects


def _is_for(statement: Mapping[str, Any], provider_arn: str, action: str) -> bool:
    principal = statement.get("Principal", {})
    federated = "*" if principal == "*" else principal.get("Federated", [])
    if not {"*", provider_arn} & set(_list(federated)):
        return False
    return any(_like(action.lower(), pattern.lower()) for pattern in _list(statement["Action"]))


def _holds(operator: str, key: str, wanted: Any, context: Mapping[str, list[str]]) -> bool:
    quantifier, _, rest = operator.rpartition(":")
    name = rest.removesuffix("IfExists")
    found = context.get(key.lower())
    if name == "Null":
        return (found is None) == (str(_list(wanted)[0]).lower() == "true")
    if found is None:
        return rest.endswith("IfExists") or quantifier == "ForAllValues" or "Not" in name
    match = {
        "StringEquals": lambda value, pattern: value == pattern,
        "StringEqualsIgnoreCase": lambda value, pattern: value.lower() == pattern.lower(),
        "StringLike": _like,
    }[name.replace("Not", "")]

    def passes(value: str) -> bool:
        matched = any(match(value, pattern) for pattern in _list(wanted))
        return matched is not ("Not" in name)

    if quantifier == "ForAllValues":
        return all(passes(value) for value in found)
    if quantifier == "ForAnyValue":
        return any(passes(value) for value in found)
    assert len(found) == 1, f"{key} has {len(found)} values and needs a set operator"
    return passes(found[0])


def _like(value: str, pattern: str) -> bool:
    rule = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(rule, value, re.DOTALL) is not None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
