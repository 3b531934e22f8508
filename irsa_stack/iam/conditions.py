"""Conditions of a policy statement, with the rules for keys that a request lacks.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from irsa_stack.cloudformation.deploy_time import TOKEN, is_deploy_time
from irsa_stack.cloudformation.outcomes import is_plain
from irsa_stack.iam import globs

_PLACEHOLDER = re.compile(
    r"\{\{.*?\}\}|<[A-Za-z][\w .-]*>|\$\{(?!Token\[)[^}:*?$']*\}|\$[A-Za-z_]\w*|\bREPLACE_ME\b"
)
"""What people and template engines write where a value is still to come."""

_VARIABLE = re.compile(rf"\$\{{(?!Token\[)((?:{TOKEN.pattern}|[^}}])*)\}}")
_TOKEN_OR_VARIABLE = re.compile(rf"{TOKEN.pattern}|{_PLACEHOLDER.pattern}|{_VARIABLE.pattern}")

_STRINGS = {
    "stringequals": (False, False),
    "stringequalsignorecase": (False, True),
    "stringlike": (True, False),
}
"""Operators on text: whether they take wildcards, and whether letter case counts for nothing."""

_POSITIVE = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotequals": "arnequals",
    "arnnotlike": "arnlike",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
}
_TYPED = (
    "arnequals", "arnlike", "bool", "binaryequals", "ipaddress",
    "numericequals", "numericlessthan", "numericlessthanequals",
    "numericgreaterthan", "numericgreaterthanequals",
    "dateequals", "datelessthan", "datelessthanequals", "dategreaterthan", "dategreaterthanequals",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Test:
    """What one condition asks of one key.

    Args:
        operator: as written.
        key: as written.
        values: as written, for messages.
        absent: whether a request without the key passes.
        negated: whether the values that match fail.
        patterns: globs that the value is held against.
        ignores_case: whether letter case counts for nothing.
        kind: `string`, or the type of an operator that compares no text.
    """

    operator: str
    key: str
    values: tuple[Any, ...]
    absent: bool
    negated: bool
    patterns: tuple[str, ...]
    ignores_case: bool = False
    kind: str = "string"

    @property
    def opposite(self) -> "Test":
        """The test that passes exactly where this one fails."""
        return replace(self, absent=not self.absent, negated=not self.negated)

    @property
    def name(self) -> str:
        """The key as IAM compares it: letter case counts for nothing."""
        return self.key.lower()

    @property
    def takes_wildcards(self) -> bool:
        """Whether `*` and `?` of the values are wildcards."""
        return "like" in self.operator.lower() or self.kind == "arn"

    @property
    def globs(self) -> tuple[str, ...]:
        """Globs that a claim is held against: no claim is an ARN, a number, a date, an address."""
        return self.patterns if self.kind in ("string", "bool", "null") else ()


class NotToldError(Exception):
    """A part of a policy is known only at deploy time, and its shape with it."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


class MalformedError(Exception):
    """A part of a policy is none that IAM takes: the sentence says what and how to mend it."""


def listed(value: Any) -> list[Any]:  # noqa: ANN401 (IAM takes one or many)
    """Return one or many as many."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def is_whole_token(value: object) -> bool:
    """Whether *value* is one deploy-time value, or a placeholder, and nothing else."""
    return isinstance(value, str) and (TOKEN.fullmatch(value) is not None or is_placeholder(value))


def conditions_of(condition: object, *, variables: bool) -> Iterator[Test]:
    """Return the tests of a `Condition`; all of them must pass.

    Args:
        condition: the element; its texts may hold deploy-time values.
        variables: whether `${...}` is a policy variable, as from version 2012-10-17.

    Raises:
        NotToldError: an operator's block is known only at deploy time.
        MalformedError: IAM would refuse it.
    """
    if condition is None:
        return
    if is_whole_token(condition):
        raise NotToldError("Condition")
    if not isinstance(condition, Mapping):
        raise MalformedError(
            f"Condition must be an object of operators, got {condition!r};"
            ' write {"StringEquals": {KEY: VALUE}}'
        )
    for operator, block in condition.items():
        if block is None:
            continue
        if is_whole_token(block) or is_deploy_time(operator):
            raise NotToldError(f"Condition.{operator}")
        if not isinstance(block, Mapping):
            raise MalformedError(
                f"{operator} must be an object of keys, got {block!r}; write"
                f' {{"{operator}": {{KEY: VALUE}}}}'
            )
        for key, values in block.items():
            yield _test(str(operator), str(key), listed(values), variables=variables)


def _test(operator: str, key: str, values: list[Any], *, variables: bool) -> Test:
    for value in values:
        if isinstance(value, list | Mapping) or value is None:
            raise MalformedError(
                f"{key!r} must be text or a list of texts, got {value!r}; correct the value"
            )
    texts = [_text(value) for value in values]
    quantifier, _, rest = operator.lower().rpartition(":")
    if_exists = rest.endswith("ifexists")
    rest = rest.removesuffix("ifexists")
    if quantifier not in ("", "forallvalues", "foranyvalue"):
        raise MalformedError(_unknown_operator(operator))
    if rest == "null":
        if any(is_deploy_time(text) for text in texts):
            raise NotToldError(f"Condition.{operator}.{key}")
        wants_none = any(text.lower() == "true" for text in texts)
        wants_some = any(text.lower() == "false" for text in texts)
        return Test(
            operator=operator,
            key=key,
            values=tuple(values),
            absent=wants_none,
            negated=False,
            patterns=(globs.EVERYTHING,) if wants_some else (),
            kind="null",
        )
    negated = rest in _POSITIVE
    positive = _POSITIVE.get(rest, rest)
    if positive in _STRINGS:
        like, ignores_case = _STRINGS[positive]
        kind = "string"
    elif positive in _TYPED:
        kind = _kind_of(positive)
        like, ignores_case = kind == "arn", kind == "bool"
    else:
        raise MalformedError(_unknown_operator(operator))
    patterns = tuple(
        _glob(text, like=like, lower=ignores_case, variables=variables) for text in texts
    )
    # ForAllValues is true of no value, ForAnyValue is not; a missing key passes what is negated.
    absent = {"forallvalues": True, "foranyvalue": False}.get(quantifier, negated) or if_exists
    return Test(
        operator=operator,
        key=key,
        values=tuple(values),
        absent=absent,
        negated=negated,
        patterns=patterns,
        ignores_case=ignores_case,
        kind=kind,
    )


def _kind_of(operator: str) -> str:
    for kind in ("arn", "bool", "binary", "ip", "numeric", "date"):
        if operator.startswith(kind):
            return kind
    raise MalformedError(_unknown_operator(operator))


def _unknown_operator(operator: str) -> str:
    return (
        f"condition operator must be one that IAM has, got {operator!r}; write StringEquals or"
        " StringLike"
    )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _glob(text: str, *, like: bool, lower: bool, variables: bool) -> str:
    if not ("*" in text or "?" in text or "$" in text or "{" in text or "<" in text):
        return text.lower() if lower else text

    def replaced(found: re.Match[str]) -> str:
        whole = found[0]
        if TOKEN.fullmatch(whole):
            return globs.PLAIN if is_plain(whole) else globs.UNKNOWN
        variable = _VARIABLE.fullmatch(whole) if variables else None
        if variable is not None:
            return _variable(variable[1])
        return globs.UNKNOWN if _PLACEHOLDER.fullmatch(whole) else whole

    pieces = []
    end = 0
    for found in _TOKEN_OR_VARIABLE.finditer(text):
        pieces += [_literal(text[end : found.start()], like=like, lower=lower), replaced(found)]
        end = found.end()
    pieces.append(_literal(text[end:], like=like, lower=lower))
    return "".join(pieces)


def _variable(content: str) -> str:
    """Return what a policy variable may stand for.

    See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    if content in ("*", "?", "$"):
        return content
    # Without a colon it is no variable of IAM's but a template engine's. What a request puts in is
    # up to whoever sends it; the variable of the tested key itself always matches.
    return globs.MANY if ":" in content.partition(",")[0] else globs.UNKNOWN


def _literal(text: str, *, like: bool, lower: bool) -> str:
    text = text.lower() if lower else text
    return text.replace("*", globs.MANY).replace("?", globs.ONE) if like else text


def is_placeholder(text: str) -> bool:
    """Whether *text* is what somebody has still to fill in."""
    return _PLACEHOLDER.fullmatch(text) is not None


def without_placeholders(text: str) -> str:
    """Return *text* with placeholders as deploy-time values."""
    return _PLACEHOLDER.sub("${Token[placeholder]}", text)
