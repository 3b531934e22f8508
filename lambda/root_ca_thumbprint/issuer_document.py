"""The rules for an issuer's URL and for the document that it publishes about itself.

See: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass

from custom_resource import Failure

WELL_KNOWN = "/.well-known/openid-configuration"
HTTPS_PORT = 443
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
MAX_ISSUER_URL = 255

_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
# The last label begins with a letter: resolvers take `127.1` and `0x7f000001` for addresses.
_HOST = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*(?=[a-z]){_LABEL}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()+,;=@%-]+)*")


@dataclass(frozen=True)
class Endpoint:
    """A host and port to connect to."""

    host: str
    port: int = HTTPS_PORT

    def __str__(self) -> str:
        """The host, with its port if that is a special one."""
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Issuer:
    """An OIDC issuer that IAM can know: host and path, no more."""

    host: str
    path: str

    @classmethod
    def from_url(cls, url: object) -> Issuer:
        """The issuer of a URL such as `https://oidc.eks.eu-west-1.amazonaws.com/id/0123...`.

        Raises:
            Failure: IAM would not take it; all faults are listed.
        """
        if not isinstance(url, str) or not url.startswith("https://"):
            raise Failure(
                f"the issuer URL must start with https://, got {url!r}; copy it from the cluster"
            )
        authority, slash, rest = url.removeprefix("https://").partition("/")
        faults = []
        if len(url) > MAX_ISSUER_URL:
            faults.append(f"must be at most {MAX_ISSUER_URL} characters")
        if "?" in url or "#" in url:
            faults.append("must have no query or fragment")
        elif url.endswith("/"):
            faults.append("must have no trailing slash: tokens carry it without")
        elif not _PATH.fullmatch(slash + rest):
            faults.append("must have a plain path")
        host_fault = _authority_fault(re.split("[?#]", authority)[0], with_port=False)
        if host_fault:
            faults.append(host_fault)
        if faults:
            raise Failure(
                f"the issuer URL {'; '.join(faults)}; got {url!r}; copy it from the cluster"
            )
        return cls(host=authority, path=slash + rest)

    @property
    def url(self) -> str:
        """With `https://`, as tokens carry it in `iss`."""
        return f"https://{self.host}{self.path}"

    @property
    def endpoint(self) -> Endpoint:
        """Where its document is published."""
        return Endpoint(self.host)


def keys_endpoint(document: bytes, issuer: Issuer) -> Endpoint:
    """Where the issuer publishes its keys, read from its discovery document.

    Raises:
        Failure: The document is not this issuer's, or names no usable `jwks_uri`. The reason holds
            nothing else of it: what an internal server answers must not get out this way.
    """
    where = f"the document at {issuer.url}{WELL_KNOWN}"
    try:
        content = json.loads(document)
    except (ValueError, RecursionError):  # ValueError: no JSON, or no UTF-8
        raise Failure(f"{where} must be JSON, and is not") from None
    if not isinstance(content, dict):
        raise Failure(f"{where} must be a JSON object, got another kind of value")
    if content.get("issuer") != issuer.url:
        raise Failure(f"{where} must name {issuer.url!r} as its issuer, and does not")
    uri = content.get("jwks_uri")
    if not isinstance(uri, str) or not uri.startswith("https://"):
        raise Failure(f"{where} must have a jwks_uri that starts with https://, and has not")
    authority = re.split("[/?#]", uri.removeprefix("https://"))[0].lower()
    fault = _authority_fault(authority, with_port=True)
    if fault:
        raise Failure(f"the jwks_uri in {where} {fault}")
    host, _, port = authority.partition(":")
    return Endpoint(host, int(port) if port else HTTPS_PORT)


def _authority_fault(authority: str, *, with_port: bool) -> str | None:
    host, colon, port = authority.partition(":")
    if "@" in authority:
        return "must have no user name"
    if _is_address(authority) or _is_address(host):
        return "must have a host name, not an address: a certificate is for a name"
    if colon and not with_port:
        return "must have no port: IAM takes none"
    if colon and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 2**16):
        return "must have a port between 1 and 65535, or none"
    if not _HOST.fullmatch(host):
        return "must have a lower-case host name"
    return None


def _is_address(host: str) -> bool:
    if host.startswith("["):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # What `inet_aton` takes for an address: 127.1, 2130706433, 0x7f.1
        return bool(re.fullmatch(r"(?:(?:0x[0-9a-f]*|[0-9]+)(?:\.|$))+", host))
    return True
