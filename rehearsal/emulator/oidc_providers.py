"""`AWS::IAM::OIDCProvider`, and the IAM actions on such providers that ministack leaves out.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-oidcprovider.html
"""

import re
from collections.abc import Callable
from typing import Any

from ministack.services import iam

from rehearsal.emulator.service_actions import ActionRefused, query_action

CLIENT_IDS = 100
THUMBPRINTS = 5

_THUMBPRINT = re.compile(r"[0-9a-fA-F]{40}")

Record = dict[str, Any]
Parameters = dict[str, Any]


def create(_logical_id: str, properties: Record, _stack: str) -> tuple[str, Record]:
    """Create the provider of a stack."""
    _check(properties)
    answer = query_action(
        "Iam",
        iam._IAM_HANDLERS["CreateOpenIDConnectProvider"],
        Url=properties["Url"],
        ClientIDList=_client_ids(properties),
        ThumbprintList=_thumbprints(properties),
        Tags=_tags(properties),
    )
    arn = str(answer.findtext(".//OpenIDConnectProviderArn"))
    return arn, {"Arn": arn}


def update(arn: str, _old: Record, new: Record, _stack: str) -> tuple[str, Record]:
    """Update what can be updated in place: all but the URL."""
    _check(new)
    record = iam._oidc_providers.get(arn)
    if record is None:
        raise ActionRefused(f"OIDC provider {arn} not found (Service: Iam, Status Code: 404)")
    record["ClientIDList"] = _client_ids(new)
    record["ThumbprintList"] = _thumbprints(new)
    record["Tags"] = _tags(new)
    return arn, {"Arn": arn}


def delete(arn: str, _properties: Record) -> None:
    """Delete the provider if it is still there."""
    if arn in iam._oidc_providers:
        query_action(
            "Iam", iam._IAM_HANDLERS["DeleteOpenIDConnectProvider"], OpenIDConnectProviderArn=arn
        )


def update_thumbprint(parameters: Parameters, provider: Record) -> None:
    """UpdateOpenIDConnectProviderThumbprint."""
    provider["ThumbprintList"] = _members(parameters, "ThumbprintList")


def add_client_id(parameters: Parameters, provider: Record) -> None:
    """AddClientIDToOpenIDConnectProvider."""
    client_id = iam._p(parameters, "ClientID")
    if client_id not in provider["ClientIDList"]:
        provider["ClientIDList"].append(client_id)


def remove_client_id(parameters: Parameters, provider: Record) -> None:
    """RemoveClientIDFromOpenIDConnectProvider."""
    client_id = iam._p(parameters, "ClientID")
    if client_id in provider["ClientIDList"]:
        provider["ClientIDList"].remove(client_id)


_MISSING_ACTIONS = {
    "UpdateOpenIDConnectProviderThumbprint": update_thumbprint,
    "AddClientIDToOpenIDConnectProvider": add_client_id,
    "RemoveClientIDFromOpenIDConnectProvider": remove_client_id,
}


def install_actions() -> None:
    """Add the missing actions to the emulator's IAM."""
    for name, change in _MISSING_ACTIONS.items():
        iam._IAM_HANDLERS.setdefault(name, _action(name, change))


def _action(name: str, change: Callable[[Parameters, Record], None]) -> Callable[[Parameters], Any]:
    def run(parameters: Parameters) -> Any:
        arn = iam._p(parameters, "OpenIDConnectProviderArn")
        provider = iam._oidc_providers.get(arn)
        if provider is None:
            return iam._error(
                404, "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}", ns="iam"
            )
        change(parameters, provider)
        return iam._xml(200, f"{name}Response", "", ns="iam")

    return run


def _check(properties: Record) -> None:
    url = str(properties.get("Url", ""))
    if not url.startswith("https://"):
        raise ActionRefused(
            f"Invalid Open ID Connect Provider URL: {url} must begin with https://"
            " (Service: Iam, Status Code: 400, Error Code: InvalidInput)"
        )
    thumbprints = _thumbprints(properties)
    well_formed = all(_THUMBPRINT.fullmatch(thumbprint) for thumbprint in thumbprints)
    if len(thumbprints) > THUMBPRINTS or not well_formed:
        raise ActionRefused(
            f"Thumbprint list must have at most {THUMBPRINTS} entries of 40 hexadecimal"
            " characters (Service: Iam, Status Code: 400)"
        )
    if len(_client_ids(properties)) > CLIENT_IDS:
        raise ActionRefused(f"at most {CLIENT_IDS} client IDs (Service: Iam, Status Code: 400)")


def _client_ids(properties: Record) -> list[str]:
    return [str(client_id) for client_id in properties.get("ClientIdList") or []]


def _thumbprints(properties: Record) -> list[str]:
    return [str(thumbprint).lower() for thumbprint in properties.get("ThumbprintList") or []]


def _tags(properties: Record) -> list[Record]:
    return [dict(tag) for tag in properties.get("Tags") or []]


def _members(parameters: Parameters, name: str) -> list[str]:
    found: list[str] = []
    while value := iam._p(parameters, f"{name}.member.{len(found) + 1}"):
        found.append(value)
    return found
