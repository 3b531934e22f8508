"""Service-account tokens without an API server, signed with the cluster's own key."""

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rehearsal.account import Account
from rehearsal.key_set import key_set

_LIFE_SECONDS = 3600


def sign_token(made: Account, *, subject: str, **claims: Any) -> str:
    """Return a token of the first cluster's issuer, with the claims that Kubernetes writes."""
    key = serialization.load_pem_private_key(made.signing_key.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"signing_key must be an RSA key, got {type(key).__name__}")
    now = int(time.time())
    content = {
        "iss": made.issuer_url,
        "sub": subject,
        "aud": ["sts.amazonaws.com"],
        "iat": now,
        "nbf": now,
        "exp": now + _LIFE_SECONDS,
    }
    headers = {"kid": key_set(key.public_key())["keys"][0]["kid"]}
    return jwt.encode(content | claims, key, "RS256", headers=headers)
