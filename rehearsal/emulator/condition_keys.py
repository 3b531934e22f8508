"""`iam:PolicyARN`, by which a policy says which managed policies may be attached and detached.

ministack names no managed policy when it evaluates such a request, so that no condition on the key
could hold.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
"""

from typing import Any

from ministack.core import iam_actions

_ACTIONS = {
    f"iam:{verb}{kind}Policy" for verb in ("Attach", "Detach") for kind in ("Group", "Role", "User")
}

_tags_of_request = iam_actions.request_tag_context


def install() -> None:
    """Tell policies which managed policy a request names."""
    iam_actions.request_tag_context = _keys_of_request


def _keys_of_request(
    service: str, action: str, body: bytes, parameters: dict[str, Any]
) -> dict[str, Any]:
    keys: dict[str, Any] = _tags_of_request(service, action, body, parameters)
    policy_arn = iam_actions._query_param(parameters, "PolicyArn")
    if action in _ACTIONS and policy_arn:
        return {**keys, "iam:PolicyARN": policy_arn}
    return keys
