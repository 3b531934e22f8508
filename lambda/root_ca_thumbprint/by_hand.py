"""The thumbprint by hand: prints what the custom resource would compute.

    python lambda/root_ca_thumbprint/by_hand.py ISSUER_URL

See docs/thumbprint.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

# Run as a script, Python looks for modules in this folder only; the modules' root is its parent.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from custom_resource import Deadline, Failure
from root_ca_thumbprint.on_event import WORK_SECONDS
from root_ca_thumbprint.thumbprints import compute_thumbprints


def main(arguments: list[str]) -> int:
    """Print one JSON object, or the reason why not; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        found = compute_thumbprints(
            options.issuer_url,
            Deadline(options.timeout),
            ca_bundle=options.ca_bundle and options.ca_bundle.read_text("utf-8", "replace"),
            allow_private=options.allow_private,
        )
    except (Failure, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    result: dict[str, str | list[str]] = {
        "thumbprint": found.values[0],
        "thumbprints": list(found.values),
        "subject": found.subject,
        "not_after": found.not_after,
        "warnings": list(found.warnings),
    }
    if options.terraform:
        result |= {
            "thumbprints": ",".join(found.values),
            "warnings": "; ".join(found.warnings),
        }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="by_hand.py", description="Compute the thumbprint of an OIDC issuer for IAM."
    )
    parser.add_argument("issuer_url", metavar="ISSUER_URL", help="https://..., no trailing slash")
    parser.add_argument(
        "--ca-bundle",
        metavar="FILE",
        type=Path,
        help="CA certificates in PEM to verify against; default: the system's",
    )
    parser.add_argument(
        "--allow-private",
        action="store_true",
        help="let the issuer have an address that is not globally routable",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=WORK_SECONDS,
        help="for everything together; default: %(default)g",
    )
    parser.add_argument(
        "--terraform",
        action="store_true",
        help="lists as text: Terraform's external data source takes strings only",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
