"""`Fn::Sub`: text whose deploy-time values CloudFormation fills in, readable as it stands.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-sub.html
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from irsa_stack.cloudformation.deploy_time import TOKEN

# `Aws.PARTITION` and the like; CloudFormation knows them by name, in any stack.
_PSEUDO_PARAMETER = re.compile(r"\$\{Token\[AWS\.(Partition|AccountId|Region|URLSuffix)\.\d+\]\}")


def fn_sub(text: str, *, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return *text* as `Fn::Sub`, a complete object: a joined string loses cross-stack references.

    Args:
        text: may hold deploy-time values.
        names: what a deploy-time value is called, as a variable. Default: `Value1`, `Value2` ...
    """
    # A `${` of the text itself would be taken for a variable; `${!` is CloudFormation's escape.
    return _fn_sub(text, "${!", names or {}, str)


def fn_sub_json(
    document: Mapping[str, Any],
    *,
    names: Mapping[str, str] | None = None,
    up_to_quote: Collection[str] = (),
) -> dict[str, Any]:
    """Return *document* as compact JSON in `Fn::Sub`.

    Args:
        document: its strings may hold deploy-time values.
        names: what a deploy-time value is called, as a variable. Default: `Value1`, `Value2` ...
        up_to_quote: deploy-time values that somebody gives and AWS does not make. They end at their
            first quote: `Fn::Sub` knows no JSON, and the rest would add statements. Default: none.
    """
    text = json.dumps(document, separators=(",", ":"))
    # JSON's own escape for `$`, which no text of a user's can undo: `${!` without its brace could
    # swallow the variable behind it.
    return _fn_sub(
        text,
        "\\u0024{",
        names or {},
        lambda token: _until_quote(token) if token in up_to_quote else token,
    )


def _until_quote(token: str) -> dict[str, Any]:
    return {"Fn::Select": [0, {"Fn::Split": ['"', token]}]}


def holds_only_pseudo_parameters(text: str) -> bool:
    """Whether *text* has deploy-time values, and CloudFormation knows all of them by name."""
    return TOKEN.search(text) is not None and not TOKEN.search(_PSEUDO_PARAMETER.sub("", text))


def _fn_sub(
    text: str, dollar_brace: str, names: Mapping[str, str], value: Callable[[str], object]
) -> dict[str, Any]:
    inline: dict[str, str] = {}
    variables: dict[str, str] = {}
    for token in TOKEN.findall(text):
        pseudo = _PSEUDO_PARAMETER.fullmatch(token)
        if pseudo is not None:
            inline[token] = f"AWS::{pseudo[1]}"
        else:
            variables.setdefault(token, names.get(token, f"Value{len(variables) + 1}"))
    known = inline | variables
    literal_parts = [part.replace("${", dollar_brace) for part in TOKEN.split(text)]
    filled = [f"${{{known[token]}}}" for token in TOKEN.findall(text)]
    template = "".join(
        part + reference for part, reference in zip(literal_parts, [*filled, ""], strict=True)
    )
    if not variables:
        return {"Fn::Sub": template}
    return {"Fn::Sub": [template, {name: value(token) for token, name in variables.items()}]}
