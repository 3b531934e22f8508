"""The root-CA thumbprint of an OIDC issuer, as IAM wants it: see docs/thumbprint.md.

`on_event` and `by_hand` are the two ways in. `certificate`, `top_certificate`, `issuer_document`
and `public_address` decide; `issuer_connection` alone touches the network.
"""
