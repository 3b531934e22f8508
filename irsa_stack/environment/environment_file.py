"""Environment files: what `app.py` deploys, read with every fault reported at once.

`python -m irsa_stack.environment.environment_file` prints their JSON Schema, for editors.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from irsa_stack.environment.environment import Environment
from irsa_stack.faults import InvalidInput


def load_environment(path: Path) -> Environment:
    """Read and check an environment file.

    Raises:
        InvalidInput: the file is missing, no YAML, or breaks rules; each fault has its place.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise InvalidInput(
            [
                f"environment must be one of {', '.join(there) or 'none'}, got {path.stem!r};"
                f" write {path}, or choose with -c environment=NAME"
            ]
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise InvalidInput([f"{path} must be YAML, got {told}; correct it"]) from None
    if not isinstance(raw, dict):
        raise InvalidInput(
            [f"{path} must hold keys and values, got {type(raw).__name__}; see dev.yaml"]
        )
    return environment(raw)


def environment(raw: Mapping[str, Any]) -> Environment:
    """Return what an environment file holds as settings.

    Raises:
        InvalidInput: it breaks rules; each fault has its place.
    """
    try:
        return Environment.model_validate(raw)
    except ValidationError as error:
        raise InvalidInput(_sentences(error)) from None


def report(path: Path, faults: Sequence[str]) -> str:
    """Return what a person reads when an environment file has faults."""
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return "\n".join([f"{path} has {count}:", *(f"  - {fault}" for fault in faults)])


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        place = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]
        ).lstrip(".")
        place = place or "(whole file)"
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
        "extra_forbidden": ("be a known key", _near(str(problem["loc"][-1]))),
        "string_type": ("be text", "put it in quotes"),
        "int_type": ("be a whole number", "write it without quotes"),
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
    got = "" if problem["type"] == "missing" else f", got {problem['input']!r}"
    return f"must {rule}{got}; {fix}"


def _near(key: str) -> str:
    near = difflib.get_close_matches(key, _keys(), n=1)
    return f"did you mean {near[0]!r}?" if near else "remove it"


def _keys() -> list[str]:
    schema = Environment.model_json_schema()
    parts = (schema, *schema["$defs"].values())
    return sorted({name for part in parts for name in part["properties"]})


if __name__ == "__main__":
    print(json.dumps(Environment.model_json_schema(), indent=2))  # noqa: T201 (its purpose)
