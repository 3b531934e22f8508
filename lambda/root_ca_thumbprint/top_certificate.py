"""Which of the certificates that a server presents is IAM's "top intermediate CA".

IAM's guide says: the last that `openssl s_client -showcerts` displays. That holds while the server
sends its chain in order. This walks from the leaf to its issuer, to its issuer's issuer and so on
through what was presented: the same certificate for every ordered chain, and still the right one
when certificates are out of order or do not belong. The trust store's root is not presented and
never counts.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from root_ca_thumbprint.certificate import Certificate, read_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

EXPIRES_SOON = timedelta(days=180)


@dataclass(frozen=True)
class TopCertificate:
    """The certificate whose thumbprint IAM wants, and what is odd about the chain."""

    certificate: Certificate
    warnings: tuple[str, ...]


def top_certificate(presented: Sequence[bytes], now: datetime) -> TopCertificate:
    """Find the top certificate of a chain.

    Args:
        presented: The certificates in DER as the server sent them, its own one first.
        now: The moment at which certificates must be valid.

    Raises:
        UnreadableCertificate: One of them is no X.509 certificate.
    """
    leaf, *others = (read_certificate(der) for der in presented)
    top = leaf
    while not top.is_self_issued:
        issuers = [other for other in others if other.may_have_issued(top)]
        if not issuers:
            break
        # A renewed or cross-signed CA may be sent beside its expired twin.
        top = next((issuer for issuer in issuers if issuer.is_valid_at(now)), issuers[0])
        others.remove(top)
    last = read_certificate(presented[-1])
    return TopCertificate(top, tuple(_oddities(top, leaf, last, now)))


def _oddities(
    top: Certificate, leaf: Certificate, last: Certificate, now: datetime
) -> Sequence[str]:
    name, expiry = top.subject_text, f"{top.not_after:%Y-%m-%d}"
    odd = []
    if top is leaf:
        odd.append("the server presents its own certificate only: expect a new thumbprint often")
    elif not top.is_ca:
        odd.append(f"{name} is not marked as a CA")
    elif top.is_self_issued:
        odd.append(f"the server presents its root, {name}, which servers usually leave out")
    if top.der != last.der:
        odd.append(
            "the chain is out of order or holds strays: tools that take the last certificate get"
            f" {last.thumbprint}"
        )
    if top.not_after < now:
        odd.append(f"{name} expired on {expiry}")
    elif top.not_after - now < EXPIRES_SOON:
        odd.append(f"{name} expires on {expiry}: plan the rotation")
    return odd
