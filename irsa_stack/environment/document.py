"""YAML of an environment file, read so that nothing in it can be misread.

A key that stands twice, a key with nothing after it, text that the CDK would take for a deploy-time
value: PyYAML passes all three in silence.
"""

import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from irsa_stack.cloudformation.deploy_time import is_placeholder
from irsa_stack.faults import InvalidInput, refuse

_BYTES = 1_000_000
_VALUES = 200_000
_PLAIN_WORDS = {
    r"cannot start any token|found character '\\t'": (
        "must be indented with spaces, got a tab; replace it by spaces"
    ),
    "mapping values are not allowed": (
        "must have one key a line, got a ':' too many; indent the line like its neighbours, or put"
        " the text in quotes"
    ),
    "expected <block end>": (
        "must be indented like the lines that it belongs to, got another indentation; line it up"
    ),
    "could not find expected ':'": "must be `key: value`, got no ':'; add it",
    "found undefined alias": "must name an anchor of this file, got another; put it in quotes",
    "could not determine a constructor": (
        "must hold text, numbers, lists and keys only, got a tag with '!'; remove the tag"
    ),
    "found another document": "must be one document, got a second; remove the line '---'",
}


class _Loader(yaml.SafeLoader):
    """Read YAML without dates, base-8 and base-60 numbers, and note keys that stand twice."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.twice: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 (PyYAML's)
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen and key != "<<":
                self.twice.append(
                    f"line {line}: keys must stand once, got {key!r} on line {seen[key]} too;"
                    " remove one of them"
                )
            seen.setdefault(key, line)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, rule)
        for tag, rule in rules
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")
    ]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30})$"), list("-+0123456789")
)


def file_in(folder: Path, name: str) -> Path:
    """Return the environment file *name* of *folder*, or that of an absolute path.

    Raises:
        InvalidInput: there is no such file.
    """
    path = folder / f"{name}.yaml"
    there = sorted(file.stem for file in folder.glob("*.yaml"))
    elsewhere = Path(name).is_absolute() and path.is_file()
    if name not in there and not elsewhere:
        refuse(
            [
                f"environment must be one of {', '.join(there) or 'none'}, got {name!r}; write"
                f" {path}, or choose with -c environment=NAME"
            ]
        )
    return path


def read_document(path: Path) -> dict[str, Any]:
    """Return the keys and values of a file.

    Raises:
        InvalidInput: it is no YAML, or holds what could be misread; all faults are listed.
    """
    if not path.is_file() or path.stat().st_size > _BYTES:
        refuse([f"must be a file of at most {_BYTES} bytes, got another; write one"])
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        raw = loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput([_in_plain_words(error)]) from None
    refuse(loader.twice)
    refuse(_token_faults(raw))
    if isinstance(raw, dict):
        return raw
    raise InvalidInput([f"must hold keys and values, got {type(raw).__name__}; see dev.yaml"])


def values_of(raw: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, object]]:
    """Return every value with its place, parts before what they hold."""
    yield place, raw
    if isinstance(raw, dict):
        for key, value in raw.items():
            yield from values_of(value, (*place, key))
    elif isinstance(raw, list):
        for position, value in enumerate(raw):
            yield from values_of(value, (*place, position))


def _token_faults(raw: object) -> list[str]:
    faults = []
    try:
        for number, (place, value) in enumerate(values_of(raw)):
            if number > _VALUES:
                return [f"must hold at most {_VALUES} values, got more; write less behind '&'"]
            if isinstance(value, str) and ("{Token[" in value or is_placeholder(value)):
                faults.append(
                    f"{place_text(place)}: must be what will be deployed, got {value[:60]!r}; the"
                    " CDK would take it for a value of its own, so write it out"
                )
    except RecursionError:
        return ["must not hold itself, got a '*' within its own '&'; write it out"]
    return faults


def place_text(place: tuple[str | int, ...]) -> str:
    """Return a place such as `service_accounts[0].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".") or "(whole file)"


def _in_plain_words(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    problem = getattr(error, "problem", None) or str(error)
    if isinstance(error, RecursionError):
        return "must be nested like dev.yaml, got brackets within brackets; write less of them"
    for pattern, sentence in _PLAIN_WORDS.items():
        if re.search(pattern, problem):
            return where + sentence
    if isinstance(error, UnicodeDecodeError):
        return f"must be text in UTF-8, got byte {error.object[error.start]:#x}; save it as UTF-8"
    return f"{where}must be YAML, got {' '.join(problem.split())}; correct it"
