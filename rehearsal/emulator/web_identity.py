"""What AWS checks of a web identity token before it looks at the role's trust policy.

ministack evaluates the trust policy and believes the token's claims. Added here, in AWS's order:
the issuer is an OIDC provider of the account, the issuer's TLS chain has a thumbprint of it, the
signature verifies with the issuer's published keys, the token is alive, and its audience is a
client id of the provider.

See: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

import _ssl
import asyncio
import base64
import binascii
import hashlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from ministack.services import iam, sts

from rehearsal.emulator.settings import Settings

Server = tuple[str, int]

_ACTION = "AssumeRoleWithWebIdentity"
_SECONDS = 10
_NOT_YET_VALID_SECONDS = 60
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider, please reference"
    " AssumeRoleWithWebIdentity documentation for requirements"
)
_NO_TOKEN = (
    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
)

_handle_request = sts.handle_request
_principal = sts._web_identity_principal


class Refused(Exception):  # noqa: N818 (an answer of STS)
    """STS refuses a token, with a code and a message of AWS."""

    def __init__(self, message: str, *, code: str = "InvalidIdentityToken") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Token:
    """A JSON web token, taken apart and not yet believed."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Take *text* apart.

        Raises:
            Refused: it is no JWT.
        """
        try:
            header, claims, signature = text.split(".")
            return cls(
                header=json.loads(_decoded(header)),
                claims=json.loads(_decoded(claims)),
                signed=f"{header}.{claims}".encode(),
                signature=_decoded(signature),
            )
        except (ValueError, binascii.Error):
            raise Refused(_NO_TOKEN) from None

    @property
    def issuer(self) -> str:
        """The claim `iss`."""
        return str(self.claims.get("iss", ""))

    @property
    def audiences(self) -> list[str]:
        """The claim `aud`, which Kubernetes always writes as a list."""
        audience = self.claims.get("aud")
        return [audience] if isinstance(audience, str) else list(audience or [])


def install(settings: Settings) -> None:
    """Put the checks before the emulator's STS."""
    server = settings.address, settings.https_port

    async def handle_request(
        method: str, path: str, headers: Any, body: bytes, query_parameters: Mapping[str, Any]
    ) -> Any:
        parameters = _parameters(body, query_parameters)
        if parameters.get("Action") != _ACTION:
            return await _handle_request(method, path, headers, body, query_parameters)
        try:
            token = await asyncio.to_thread(verified, parameters, server)
        except Refused as refusal:
            return sts._error(400, refusal.code, escape(str(refusal)), ns="sts")
        status, answered, document = await _handle_request(
            method, path, headers, body, query_parameters
        )
        return status, answered, _about(token, parameters, document)

    sts.handle_request = handle_request
    sts._web_identity_principal = principal_with_one_audience


def verified(parameters: Mapping[str, str], server: Server) -> Token:
    """Return the token of a request if IAM would believe it.

    Args:
        parameters: of the request.
        server: address and port of every host of AWS.

    Raises:
        Refused: it would not.
    """
    token = Token.parse(parameters.get("WebIdentityToken", ""))
    account = _account(parameters)
    provider = iam._oidc_providers.get_scoped(account, None, _provider_arn(account, token.issuer))
    if not token.issuer.startswith("https://") or provider is None:
        raise Refused(f"No OpenIDConnect provider found in your account for {token.issuer}")
    thumbprints = [str(thumbprint).lower() for thumbprint in provider["ThumbprintList"]]
    _check_signature(token, _published_keys(token.issuer, thumbprints, server))
    _check_life(token)
    if not set(token.audiences) & set(provider["ClientIDList"]):
        raise Refused("Incorrect token audience")
    return token


def principal_with_one_audience(*arguments: Any) -> Any:
    """Return the emulator's principal; a list of one audience is one value to a condition."""
    arn, keys = _principal(*arguments)
    return arn, {
        key: value[0] if key.endswith(":aud") and _is_single(value) else value
        for key, value in keys.items()
    }


def _published_keys(
    issuer: str, thumbprints: Iterable[str], server: Server
) -> list[dict[str, Any]]:
    try:
        discovery = _fetched(f"{issuer}/.well-known/openid-configuration", thumbprints, server)
        if discovery.get("issuer") != issuer:
            raise Refused("Issuer of the discovery document doesn't match the token's")
        keys: list[dict[str, Any]] = _fetched(discovery["jwks_uri"], thumbprints, server)["keys"]
    except (OSError, KeyError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise Refused(reason, code="IDPCommunicationError") from error
    return keys


def _fetched(url: str, thumbprints: Iterable[str], server: Server) -> dict[str, Any]:
    parts = urlsplit(url)
    host = str(parts.hostname)
    context = ssl.create_default_context()
    # The thumbprint is the check, as it is for an issuer behind a private CA.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(server, timeout=_SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        top = hashlib.sha1(presented_chain(secured)[-1], usedforsecurity=False).hexdigest()
        if thumbprints and top not in thumbprints:
            raise Refused(
                "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"
            )
        request = http.client.HTTPConnection(host)
        request.sock = secured
        request.request("GET", parts.path, headers={"Accept": "application/json"})
        answer = request.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise Refused(_NO_KEY)
        document: dict[str, Any] = json.loads(answer.read())
        return document


def presented_chain(secured: ssl.SSLSocket) -> list[bytes]:
    """Return the certificates that a server presented, leaf first."""
    if hasattr(secured, "get_unverified_chain"):  # Python 3.13
        return list(secured.get_unverified_chain())
    chain = secured._sslobj.get_unverified_chain()
    return [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in chain]


def _check_signature(token: Token, keys: Iterable[Mapping[str, Any]]) -> None:
    if token.header.get("alg") != "RS256":
        raise Refused("The ID Token provided is not signed with RS256")
    key = next((key for key in keys if key.get("kid") == token.header.get("kid")), None)
    if key is None:
        raise Refused(_NO_KEY)
    modulus, exponent = (int.from_bytes(_decoded(key[part])) for part in ("n", "e"))
    public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    try:
        public.verify(token.signature, token.signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise Refused("The ID Token's signature is invalid") from None


def _check_life(token: Token) -> None:
    now = time.time()
    expires = float(token.claims.get("exp", 0))
    if now > expires:
        raise Refused(
            f"Token expired: current date/time {now:.0f} must be before the expiration date/time"
            f" {expires:.0f}",
            code="ExpiredTokenException",
        )
    if float(token.claims.get("nbf", 0)) > now + _NOT_YET_VALID_SECONDS:
        raise Refused("Token is not valid yet")


def _about(token: Token, parameters: Mapping[str, str], document: bytes) -> bytes:
    """Write the token's subject, audience and provider into the answer."""
    provider = _provider_arn(_account(parameters), token.issuer)
    for placeholder, value in (
        ("SubjectFromWebIdentityToken>test-subject", token.claims.get("sub", "")),
        ("Audience>sts.amazonaws.com", token.audiences[0]),
        ("Provider>sts.amazonaws.com", provider),
    ):
        element = placeholder.split(">")[0]
        document = document.replace(
            f"<{placeholder}<".encode(), f"<{element}>{escape(str(value))}<".encode()
        )
    return document


def _parameters(body: bytes, query_parameters: Mapping[str, Any]) -> dict[str, str]:
    found = {
        key: value[0] if isinstance(value, list) else value
        for key, value in query_parameters.items()
    }
    form = parse_qs(body.decode("utf-8", "replace"))
    return found | {key: values[0] for key, values in form.items()}


def _account(parameters: Mapping[str, str]) -> str:
    # arn:aws:iam::<account>:role/<name>
    parts = parameters.get("RoleArn", "").split(":", 5)
    return parts[4] if len(parts) > 5 else ""


def _provider_arn(account: str, issuer: str) -> str:
    return f"arn:aws:iam::{account}:oidc-provider/{issuer.removeprefix('https://')}"


def _is_single(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 1


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
