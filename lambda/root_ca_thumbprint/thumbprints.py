"""The thumbprints of an issuer: what IAM's list must hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from custom_resource import Deadline, Failure
from root_ca_thumbprint.issuer_connection import IssuerConnection
from root_ca_thumbprint.issuer_document import WELL_KNOWN, Issuer, keys_endpoint
from root_ca_thumbprint.top_certificate import top_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
MAX_THUMBPRINTS = 5
THUMBPRINT = re.compile("[0-9A-Fa-f]{40}")


@dataclass(frozen=True)
class Thumbprints:
    """What was found; subject and expiry are those of the first thumbprint's certificate."""

    values: tuple[str, ...]
    subject: str
    not_after: str
    warnings: tuple[str, ...]


def compute_thumbprints(
    issuer_url: object,
    deadline: Deadline,
    *,
    ca_bundle: str | None = None,
    allow_private: bool = False,
    additional: Sequence[object] = (),
    is_new: bool = False,
) -> Thumbprints:
    """Compute the thumbprints of an issuer.

    IAM connects to two hosts: the issuer's, and the one that publishes the keys. Mostly they are
    the same; where they differ it wants the thumbprints of both.
    See: https://github.com/aws/aws-cli/pull/10254

    Args:
        issuer_url: `https://` URL of the issuer, as it stands in its tokens.
        deadline: The end of it all.
        ca_bundle: PEM certificates to verify against. The default is the system's trust store.
        allow_private: Whether the hosts may have addresses that are not globally routable.
        additional: Thumbprints to list after the computed ones.
        is_new: Whether the issuer may have been made a moment ago, and not be known everywhere.

    Raises:
        Failure: They cannot be computed, with the reason.
    """
    issuer = Issuer.from_url(issuer_url)
    listed = _checked(additional)
    connection = IssuerConnection(
        deadline, ca_bundle=ca_bundle, allow_private=allow_private, is_new=is_new
    )
    document, chain = connection.get(issuer.endpoint, issuer.path + WELL_KNOWN)
    chains = {issuer.endpoint: chain}
    keys = keys_endpoint(document, issuer)
    if keys not in chains:
        chains[keys] = connection.presented_chain(keys)

    now = datetime.now(UTC)
    tops = {endpoint: top_certificate(chain, now) for endpoint, chain in chains.items()}
    computed = [top.certificate.thumbprint for top in tops.values()]
    values = tuple(dict.fromkeys([*computed, *listed]))
    if len(values) > MAX_THUMBPRINTS:
        raise Failure(
            f"the thumbprints must be at most {MAX_THUMBPRINTS}, got {len(values)}: "
            f"{len(set(computed))} computed and the additional ones; keep fewer of those"
        )
    first = tops[issuer.endpoint].certificate
    return Thumbprints(
        values=values,
        subject=first.subject_text,
        not_after=first.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        warnings=tuple(
            f"{endpoint}: {warning}" for endpoint, top in tops.items() for warning in top.warnings
        ),
    )


def _checked(additional: Sequence[object]) -> list[str]:
    wrong = [value for value in additional if not THUMBPRINT.fullmatch(str(value))]
    if wrong:
        raise Failure(
            "additional thumbprints must be 40 hexadecimal characters each, got "
            f"{', '.join(map(repr, wrong))}; copy them from the provider"
        )
    return [str(value).lower() for value in additional]
