"""OIDC issuers: `issuer_url` has `https://`, `issuer` has not and prefixes condition keys."""

import ipaddress
import re
from collections.abc import Iterator

from irsa_stack.cloudformation.deploy_time import TOKEN, is_placeholder
from irsa_stack.faults import refuse

ISSUER_URL_CHARACTERS = 255
"""See: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html"""

LONGEST_EKS_ISSUER = len(
    "oidc-eks.cn-northwest-1.api.amazonwebservices.com.cn/id/0123456789ABCDEF0123456789ABCDEF"
)
"""Characters that an EKS issuer known only at deploy time can have at most."""

_HOST = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)+")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()+,;=@%-]+)*")


def issuer_from_url(issuer_url: str) -> str:
    """Return the issuer that IAM uses in ARNs and condition keys: the URL without its scheme.

    Args:
        issuer_url: such as `https://oidc.eks.eu-west-1.amazonaws.com/id/<32 hex digits>`.

    Raises:
        InvalidInput: IAM would refuse the URL, or its tokens could never match.
    """
    refuse(issuer_url_faults(issuer_url))
    return issuer_url.removeprefix("https://")


def issuer_url_faults(issuer_url: str) -> Iterator[str]:
    """Say what makes *issuer_url* no issuer for IAM.

    Whatever of it is known only at deploy time has no faults yet.
    """
    written = _written(issuer_url)
    if written is None:
        return
    if TOKEN.match(str(issuer_url)):
        written = f"https://{written}"  # its first value may hold the scheme
    if not written.startswith("https://"):
        yield (
            f"issuer_url must start with https://, got {issuer_url!r};"
            " pass the cluster's OpenID Connect provider URL"
        )
        return
    if len(written) > ISSUER_URL_CHARACTERS:
        yield (
            f"issuer_url must be at most {ISSUER_URL_CHARACTERS} characters, got"
            f" {len(written)}; IAM refuses longer ones"
        )
    for fault in _issuer_faults(written.removeprefix("https://"), issuer_url):
        yield fault.replace("issuer must", "issuer_url must", 1)


def issuer_faults(issuer: str) -> Iterator[str]:
    """Say what makes *issuer* (host and path, no scheme) no prefix of condition keys."""
    written = _written(issuer)
    if written is not None:
        yield from _issuer_faults(written, issuer)


def _written(value: object) -> str | None:
    """Return *value* with names for its deploy-time values; None if it is nothing but one."""
    if not isinstance(value, str):
        return ""
    return None if TOKEN.fullmatch(value) or is_placeholder(value) else TOKEN.sub("x.x", value)


def _issuer_faults(written: str, issuer: str) -> Iterator[str]:
    if "://" in written:
        yield f"issuer must have no scheme, got {issuer!r}; condition keys start with the host name"
        return
    host, _, rest = written.partition("/")
    path = f"/{rest}" if "/" in written else ""
    if "?" in written or "#" in written:
        yield f"issuer must have no query or fragment, got {issuer!r}; remove it"
    elif path.endswith("/"):
        yield f"issuer must have no trailing slash, got {issuer!r}; tokens carry it without"
    elif not _PATH.fullmatch(path):
        yield f"issuer must have a plain path, got {issuer!r}; copy it from the cluster"
    if "@" in host:
        yield f"issuer must have no user name, got {issuer!r}; remove the part before '@'"
    elif _is_address(host):
        yield f"issuer must have a host name, got {issuer!r}; IAM needs a certificate for a name"
    elif ":" in host:
        yield f"issuer must have no port, got {issuer!r}; IAM reaches issuers on 443 only"
    elif not _HOST.fullmatch(host):
        yield (
            f"issuer must have a lower-case host name with a dot, got {issuer!r};"
            " copy it from the cluster"
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host.startswith("[")
    return True
