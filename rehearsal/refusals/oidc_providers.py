"""IAM OIDC providers."""

import re
from collections.abc import Iterator

from rehearsal.refusals.change import Change, Refusal

KIND = "AWS::IAM::OIDCProvider"
_AT_MOST = 5
_THUMBPRINT = re.compile(r"[0-9a-fA-F]{40}")
_UPDATES = "https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2092"
_LIST = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html"


def thumbprints_left_out(change: Change) -> Iterator[Refusal]:
    """Refuse to update a provider in place whose template names no thumbprints."""
    for logical_id, properties in change.of_type(KIND):
        touched = logical_id in change.changed or (
            change.is_retagged and logical_id in change.old_resources
        )
        if touched and logical_id not in change.replaced and "ThumbprintList" not in properties:
            yield Refusal(
                resource=logical_id,
                message="1 validation error detected: Value null at 'thumbprintList' failed to"
                " satisfy constraint: Member must not be null",
                source=_UPDATES,
            )


def thumbprints(change: Change) -> Iterator[Refusal]:
    """Refuse more than five thumbprints, and what is none."""
    for logical_id, properties in change.of_type(KIND):
        found = properties.get("ThumbprintList")
        if not isinstance(found, list):
            continue
        literal = [text for text in found if isinstance(text, str)]
        if len(found) > _AT_MOST or not all(map(_THUMBPRINT.fullmatch, literal)):
            yield Refusal(
                resource=logical_id,
                message="Thumbprint list must contain at most 5 entries of 40 hexadecimal"
                " characters.",
                source=_LIST,
            )
