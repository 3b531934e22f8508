"""The text of a template, JSON or YAML, with CloudFormation's short tags.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
"""

from collections.abc import Mapping
from typing import Any

import yaml


def template_from_text(text: str) -> Mapping[str, Any] | None:
    """Return the template that *text* is, or None if it is none."""
    try:
        # A subclass of the safe loader. JSON is YAML, but for tabs: those are white space there.
        found: object = yaml.load(text.replace("\t", " "), Loader=_Loader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return found if isinstance(found, Mapping) and "Resources" in found else None


class _Loader(yaml.SafeLoader):
    """Reads short tags, and dates as the text that they are: a policy's version is one."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as the base class has it)
        first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)
