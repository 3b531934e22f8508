"""JSON and YAML, CloudFormation's short tags included, and the lines where things are written."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # pragma: no cover (PyYAML without libyaml)
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

_JSON_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|[{}\[\]:,]|\n')
_LEVELS = 3
_RESOURCE = 2
_RESOURCES = re.compile(r'^[ \t]*"Resources"[ ]*:[ ]*\{(?=\n([ \t]+)")', re.MULTILINE)


class _TagLoader(_Loader):
    """Read short tags as the functions that they stand for."""


def _tagged(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:  # noqa: ANN401 (untyped)
    function = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt" and "." in value:
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {function: value}


_TagLoader.add_multi_constructor("!", _tagged)
# `Version: 2012-10-17` is text, not a day.
_TagLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def documents_of(text: str) -> list[Any]:
    """Return the documents in *text*.

    Raises:
        ValueError: it is no JSON.
        yaml.YAMLError: it is no YAML.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [json.loads(text)]
        except ValueError:
            if "\n" not in text.strip():
                raise
    return [one for one in yaml.load_all(text, Loader=_TagLoader) if one is not None]


def line_of(text: str, *keys: str) -> int | None:
    """Return the line of the object's key at *keys*, from 1; None if it is not found."""
    if not text.lstrip().startswith("{"):
        return _yaml_line(text, keys)
    if len(keys) == _RESOURCE and keys[0] == "Resources":
        line = _resource_lines(text).get(keys[1])
        if line is not None:
            return line
    return _json_lines(text).get(keys)


@lru_cache(maxsize=8)
def _resource_lines(text: str) -> dict[str, int]:
    """Return the lines of the resources of a template that is written with one key a line."""
    start = _RESOURCES.search(text)
    if start is None:
        return {}
    found: dict[str, int] = {}
    line, at = text.count("\n", 0, start.end()) + 1, start.end()
    for key in re.compile(rf'\n{start[1]}"([^"\\]+)"[ ]*:').finditer(text, start.end() - 1):
        line += text.count("\n", at, key.end())
        at = key.end()
        found.setdefault(key[1], line)
    return found


@lru_cache(maxsize=8)
def _json_lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the lines of the first three levels of keys."""
    found: dict[tuple[str, ...], int] = {}
    containers: list[str] = []
    line = key_line = 1
    key = ""
    for part in _JSON_PART.finditer(text):
        text_part = part[0]
        if text_part == "\n":
            line += 1
        elif text_part[0] == '"':
            key, key_line = part[1], line
        elif text_part == ":":
            if len(containers) <= _LEVELS:
                found.setdefault((*containers[1:], key), key_line)
        elif text_part in "{[":
            containers.append(key)
        elif text_part in "}]" and containers:
            containers.pop()
    return found


def _yaml_line(text: str, keys: tuple[str, ...]) -> int | None:
    at, indent = 0, -1
    lines = text.splitlines()
    for key in keys:
        pattern = re.compile(rf"^(\s*)[\"']?{re.escape(key)}[\"']?\s*:")
        for number in range(at, len(lines)):
            found = pattern.match(lines[number])
            if found and len(found[1]) > indent:
                at, indent = number + 1, len(found[1])
                break
        else:
            return None
    return at or None


def line_with(text: str, *words: str) -> int | None:
    """Return the first line of the document part that holds all *words*, at the last of them."""
    at = 0
    for word in words:
        at = text.find(word, at)
        if at < 0:
            return None
    return text.count("\n", 0, at) + 1


def object_of(value: object) -> Mapping[str, Any]:
    """Return an object, or an empty one where something else stands."""
    return value if isinstance(value, Mapping) else {}
