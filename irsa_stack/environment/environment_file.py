"""Environment files: what `app.py` deploys, read with every fault reported at once.

`python -m irsa_stack.environment.environment_file` prints their JSON Schema, for editors.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from irsa_stack.environment.document import file_in, place_text, read_document, values_of
from irsa_stack.environment.environment import Environment
from irsa_stack.environment.part import Part
from irsa_stack.faults import InvalidInput, refuse

_SHOWN = 80
_SENTENCE = 600


def load_environment(path: Path) -> Environment:
    """Read and check an environment file.

    Raises:
        InvalidInput: the file is missing, no YAML, or breaks rules; each fault has its place.
    """
    raw = read_document(file_in(path.parent, path.stem))
    empty = [
        f"{place_text(place)}: {_emptiness(place)}"
        for place, value in values_of(raw)
        if value is None
    ]
    try:
        settings = environment(_without_nothing(raw))
    except InvalidInput as error:
        told = tuple(f"{fault.partition(': ')[0]}: must be given" for fault in empty)
        refuse([*empty, *(fault for fault in error.faults if not fault.startswith(told))])
        raise
    refuse(empty)
    return settings


def environment(raw: Mapping[str, Any]) -> Environment:
    """Return what an environment file holds as settings.

    Raises:
        InvalidInput: it breaks rules; each fault has its place.
    """
    try:
        return Environment.model_validate(raw)
    except ValidationError as error:
        raise InvalidInput(map(_short, _sentences(error))) from None


def report(path: Path, faults: Sequence[str]) -> str:
    """Return what a person reads when an environment file has faults."""
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return "\n".join([f"{path} has {count}:", *(f"  - {fault}" for fault in faults)])


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        place = place_text(problem["loc"])
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, InvalidInput):
            yield from (f"{place}: {fault}" for fault in cause.faults)
        elif isinstance(cause, ValueError):
            yield f"{place}: {cause}"
        else:
            yield f"{place}: {_sentence(problem)}"


def _sentence(problem: ErrorDetails) -> str:
    """Say what pydantic found in the words of an environment file."""
    facts = problem.get("ctx", {})
    rule, fix = {
        "missing": ("be given", "add it"),
        "extra_forbidden": ("be a known key", _near(problem["loc"])),
        "string_type": ("be text", "put it in quotes"),
        "int_type": ("be a whole number", "write it in digits, without quotes"),
        "bool_type": ("be true or false", "write it without quotes"),
        "list_type": ("be a list", "write [one, two], or one item a line after '- '"),
        "dict_type": ("have keys and values", "write `key: value` below it"),
        "model_type": ("have keys and values", "write `key: value` below it"),
        "literal_error": (f"be one of {facts.get('expected')}", "choose one"),
        "greater_than_equal": (f"be at least {facts.get('ge')}", "raise it"),
        "less_than_equal": (f"be at most {facts.get('le')}", "lower it"),
        "too_short": ("not be empty", "add an item"),
        "string_too_short": (f"be at least {facts.get('min_length')} characters", "say more"),
    }.get(problem["type"], ("be valid", problem["msg"].lower()))
    got = "" if problem["type"] == "missing" else f", got {_shown(problem['input'])}"
    return f"must {rule}{got}; {fix}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _short(fault: str) -> str:
    """Cut what somebody wrote out of the middle of *fault*; its place and its fix stay."""
    half = _SENTENCE // 2
    return fault if len(fault) <= _SENTENCE else f"{fault[:half]}...{fault[-half:]}"


def _near(place: Sequence[str | int]) -> str:
    """Name the key of that place that was meant, or all that there are."""
    part = part_at(place[:-1])
    keys = sorted(part.model_fields) if part is not None else []
    near = difflib.get_close_matches(str(place[-1]), keys, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    fix = f"remove it, or choose one of {', '.join(keys)}" if keys else "remove it"
    if place[0] == "controllers":
        fix += "; another controller gets its role under service_accounts, with its own statements"
    return fix


def part_at(place: Sequence[str | int]) -> type[Part] | None:
    """Return which part of an environment file stands at *place*, if one does."""
    part: type[Part] | None = Environment
    for key in place:
        if isinstance(key, str):
            field = None if part is None else part.model_fields.get(key)
            part = None if field is None else _part_in(field.annotation)
    return part


def _part_in(annotation: Any) -> type[Part] | None:  # noqa: ANN401 (a type)
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    found = (_part_in(argument) for argument in get_args(annotation))
    return next((part for part in found if part is not None), None)


def _emptiness(place: Sequence[str | int]) -> str:
    """Say what to write where a key has nothing after it."""
    part = part_at(place)
    if part is None or isinstance(place[-1], int):
        fix = "write one, or remove the line"
    elif any(field.is_required() for field in part.model_fields.values()):
        fix = "write its keys below it, or remove the line"
    else:
        fix = "write {} for its defaults, or remove the line"
    return f"must have a value, got none; {fix}"


def _without_nothing(raw: Any) -> Any:  # noqa: ANN401 (of YAML)
    """Leave out what is empty, which is a fault of its own and should make no second one."""
    if isinstance(raw, dict):
        return {key: _without_nothing(value) for key, value in raw.items() if value is not None}
    if isinstance(raw, list):
        return [_without_nothing(item) for item in raw if item is not None]
    return raw


if __name__ == "__main__":
    print(json.dumps(Environment.model_json_schema(), indent=2))  # noqa: T201 (its purpose)
