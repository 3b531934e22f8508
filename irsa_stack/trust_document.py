"""Put a trust policy into a template in the open, never behind a custom resource.

A key of a JSON object cannot be computed in CloudFormation, and the keys of trust conditions hold
the issuer. An issuer that is known at synth gives a plain object. One that is known only at deploy
gives the same document as a JSON string inside `Fn::Sub`: CloudFormation takes a string for
`AssumeRolePolicyDocument`.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
"""

import json
from collections.abc import Mapping
from typing import Any

from irsa_stack.deploy_time import TOKEN


def trust_document(
    document: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return *document* as a template value: itself, or `Fn::Sub` if a key is a deploy-time value.

    Args:
        document: the trust policy; its keys and values may hold deploy-time values.
        names: what each deploy-time value is called in `Fn::Sub`. Default: `Value1`, `Value2` ...
    """
    if not _has_deploy_time_key(document):
        return dict(document)
    text = json.dumps(document, separators=(",", ":"))
    tokens = list(dict.fromkeys(TOKEN.findall(text)))
    variables = {
        token: (names or {}).get(token, f"Value{position}")
        for position, token in enumerate(tokens, start=1)
    }
    # A `${` of the document itself would be taken for a variable, so JSON's escape stands for `$`.
    literal_parts = [part.replace("${", "\\u0024{") for part in TOKEN.split(text)]
    references = [f"${{{variables[token]}}}" for token in TOKEN.findall(text)]
    template = "".join(
        part + reference for part, reference in zip(literal_parts, [*references, ""], strict=True)
    )
    # A complete `Fn::Sub` object: a string joined from tokens would lose cross-stack references.
    return {"Fn::Sub": [template, {name: token for token, name in variables.items()}]}


def _has_deploy_time_key(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(
            TOKEN.search(str(key)) is not None or _has_deploy_time_key(item)
            for key, item in value.items()
        )
    if isinstance(value, list):
        return any(_has_deploy_time_key(item) for item in value)
    return False
