"""CloudFormation's intrinsic functions, as far as literals and the place tell.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

UNKNOWN = re.compile("⟦[^⟧]*⟧")
"""What stands for a value that only the deploy can tell; the same for the same expression."""

_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


def resolved(value: Any, known: Mapping[str, str]) -> Any:
    """Return *value* with its functions resolved.

    Args:
        value: a part of a template.
        known: values of pseudo parameters.
    """
    found = value
    match value:
        case list():
            found = [resolved(part, known) for part in value]
        case {"Ref": str(name)}:
            found = known.get(name, _unknown(value))
        case {"Fn::Join": [str(separator), [*parts]]}:
            found = separator.join(str(resolved(part, known)) for part in parts)
        case {"Fn::Sub": str(text)}:
            found = _substituted(text, {}, known)
        case {"Fn::Sub": [str(text), dict(variables)]}:
            found = _substituted(text, variables, known)
        case dict() if len(value) == 1 and next(iter(value)).startswith("Fn::"):
            found = _unknown(value)
        case dict():
            found = {key: resolved(part, known) for key, part in value.items()}
    return found


def references(value: Any) -> Iterator[tuple[str, str | None]]:
    """Yield the resources that a value refers to, with the attribute or `None` for `Ref`."""
    match value:
        case {"Ref": str(name)}:
            yield name, None
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            yield name, attribute
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), _]}:
            for variable in _VARIABLE.findall(text):
                name, _, attribute = variable.partition(".")
                yield name, attribute or None
            if isinstance(value["Fn::Sub"], list):
                yield from references(value["Fn::Sub"][1])
        case dict():
            for part in value.values():
                yield from references(part)
        case list():
            for part in value:
                yield from references(part)


def _substituted(text: str, variables: Mapping[str, Any], known: Mapping[str, str]) -> str:
    def one(variable: re.Match[str]) -> str:
        value: Any = {"Ref": variable[1]}
        return str(resolved(variables.get(variable[1], value), known))

    return _VARIABLE.sub(one, text).replace("${!", "${")


def _unknown(value: object) -> str:
    return f"⟦{json.dumps(value, sort_keys=True)}⟧"
