"""The public keys of an issuer, as its JWKS publishes them."""

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def key_set(key: rsa.RSAPublicKey) -> dict[str, Any]:
    """Return the JWKS of one key, with the key id that the API server writes into tokens."""
    encoded = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    numbers = key.public_numbers()
    return {
        "keys": [
            {
                "use": "sig",
                "kty": "RSA",
                "alg": "RS256",
                "kid": _base64url(hashlib.sha256(encoded).digest()),
                "n": _base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
                "e": _base64url(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)),
            }
        ]
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
