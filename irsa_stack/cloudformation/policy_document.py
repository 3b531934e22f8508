"""Put a trust policy into a template in the open, never behind a custom resource.

A key of a JSON object cannot be computed in CloudFormation, and the keys of trust conditions hold
the issuer. An issuer that is known at synth gives a plain object. One that is known only at deploy
gives the same document as a JSON string inside `Fn::Sub`: CloudFormation takes a string for
`AssumeRolePolicyDocument`.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
"""

from collections.abc import Collection, Mapping
from typing import Any

from irsa_stack.cloudformation.deploy_time import TOKEN
from irsa_stack.cloudformation.fn_sub import fn_sub, fn_sub_json, holds_only_pseudo_parameters


def trust_document(
    document: Mapping[str, Any],
    names: Mapping[str, str] | None = None,
    *,
    up_to_quote: Collection[str] = (),
) -> dict[str, Any]:
    """Return *document* for a template: an object, or `Fn::Sub` if a key is a deploy-time value.

    Args:
        document: the trust policy; its keys and values may hold deploy-time values.
        names: what each deploy-time value is called in `Fn::Sub`. Default: `Value1`, `Value2` ...
        up_to_quote: deploy-time values that somebody gives and AWS does not make; they end at their
            first quote. Default: none.
    """
    if _has_deploy_time_key(document):
        return fn_sub_json(document, names=names, up_to_quote=up_to_quote)
    return {key: _on_one_line(value) for key, value in document.items()}


def _on_one_line(value: object) -> object:
    """Return *value* with its ARNs as the CDK would not write them: on one line, for the reader."""
    if isinstance(value, Mapping):
        return {key: _on_one_line(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_one_line(item) for item in value]
    if isinstance(value, str) and holds_only_pseudo_parameters(value):
        return fn_sub(value)
    return value


def _has_deploy_time_key(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(
            TOKEN.search(str(key)) is not None or _has_deploy_time_key(item)
            for key, item in value.items()
        )
    if isinstance(value, list):
        return any(_has_deploy_time_key(item) for item in value)
    return False
