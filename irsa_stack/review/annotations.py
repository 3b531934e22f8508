"""Role annotations of service accounts, wherever a manifest is written."""

import json
from collections.abc import Iterator, Mapping

from irsa_stack.iam.arn import arn_faults
from irsa_stack.iam.conditions import without_placeholders
from irsa_stack.kubernetes.service_account_manifest import ROLE_ARN_ANNOTATION, ROLE_PLACEHOLDER
from irsa_stack.review.findings import Finding, finding


def role_annotation_findings(value: object, *, partition: str | None = None) -> Iterator[Finding]:
    """Say what is wrong with the role annotations of the manifests in *value*.

    Args:
        value: any part of a template, resolved; manifests may be objects or JSON text.
        partition: partition that the roles must be in. Default: any.
    """
    if isinstance(value, str) and ROLE_ARN_ANNOTATION in value:
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, list):
        for item in value:
            yield from role_annotation_findings(item, partition=partition)
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == ROLE_ARN_ANNOTATION and item == ROLE_PLACEHOLDER:
                continue  # the common manifest: each account's role stands beside it
            if key == ROLE_ARN_ANNOTATION:
                shown = without_placeholders(item) if isinstance(item, str) else item
                for fault in arn_faults(shown, "role", of=key, partition=partition):
                    yield finding("IRSA501", fault)
            else:
                yield from role_annotation_findings(item, partition=partition)
