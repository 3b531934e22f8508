"""Runs the by-hand script against `localhost`, port 443, in a network namespace of its own.

Prints what the script prints, and on the last line what openssl says.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

from tests.support import certificate_chains as chains
from tests.support.issuer_cases import EKS_PATH
from tests.support.tls_servers import document, http_response, openssl_thumbprint, serving


def main(script: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    url = f"https://localhost{EKS_PATH}"
    chain = chains.acm_now("localhost")
    with (
        tempfile.NamedTemporaryFile("w", suffix=".pem") as bundle,
        serving(chain, http_response(document(url)), port=443),
    ):
        bundle.write(chain.anchor.pem)
        bundle.flush()
        ran = subprocess.run(
            [sys.executable, script, url, "--allow-private", "--ca-bundle", bundle.name],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        sys.stderr.write(ran.stderr)
        sys.stdout.write(ran.stdout + openssl_thumbprint("localhost", ("127.0.0.1", 443)))


if __name__ == "__main__":
    main(*sys.argv[1:])
