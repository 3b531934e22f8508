"""The custom resource: CloudFormation's properties in, its attributes out.

Properties: `IssuerUrl`, and optionally `CaBundle` (PEM), `AllowPrivate` ("true"), `Additional`
(list of thumbprints) and `Refresh` (any text: its change alone runs this again).
Attributes: `Thumbprints` (joined with commas), `CertificateSubject`, `NotAfter`, `Warnings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from custom_resource import Answer, Deadline, Failure, LambdaContext, Request, answer, log
from root_ca_thumbprint.issuer_document import Issuer
from root_ca_thumbprint.thumbprints import compute_thumbprints

if TYPE_CHECKING:
    from collections.abc import Mapping

WORK_SECONDS = 25.0
# The answer to CloudFormation has to stay small, and a certificate's subject need not be.
MAX_SUBJECT, MAX_WARNINGS = 256, 1024


def handle(event: Mapping[str, Any], context: LambdaContext) -> None:
    """Answer one event of the custom resource."""
    answer(event, context, work, physical_id=physical_id, work_seconds=WORK_SECONDS)


def work(request: Request, deadline: Deadline) -> Answer:
    """Compute the thumbprints; nothing exists that could be deleted."""
    if request.type == "Delete":
        return Answer(request.physical_id or request.logical_id)
    properties = request.properties
    thumbprints = compute_thumbprints(
        properties.get("IssuerUrl"),
        deadline,
        ca_bundle=_text(properties, "CaBundle"),
        allow_private=_is_true(properties, "AllowPrivate"),
        additional=_list(properties, "Additional"),
        is_new=request.type == "Create",
    )
    for warning in thumbprints.warnings:
        log(warning, level="WARNING")
    return Answer(
        physical_id(request),
        {
            "Thumbprints": ",".join(thumbprints.values),
            "CertificateSubject": thumbprints.subject[:MAX_SUBJECT],
            "NotAfter": thumbprints.not_after,
            "Warnings": "; ".join(thumbprints.warnings)[:MAX_WARNINGS],
        },
    )


def physical_id(request: Request) -> str:
    """The id says which issuer: another issuer is another resource, a new thumbprint is not."""
    issuer = Issuer.from_url(request.properties.get("IssuerUrl"))
    return f"irsa-thumbprint/{issuer.host}{issuer.path}"


def _text(properties: Mapping[str, Any], name: str) -> str | None:
    value = properties.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Failure(f"{name} must be text, got {type(value).__name__}; give one PEM text")


def _is_true(properties: Mapping[str, Any], name: str) -> bool:
    value = properties.get(name, "false")
    if value not in {"true", "false"}:
        raise Failure(f"{name} must be 'true' or 'false', got {value!r}; correct it")
    return bool(value == "true")


def _list(properties: Mapping[str, Any], name: str) -> list[object]:
    value = properties.get(name, [])
    if not isinstance(value, list):
        raise Failure(f"{name} must be a list, got {value!r}; put it in brackets")
    return value
