"""Custom resources."""

from collections.abc import Iterator

from rehearsal.refusals.change import Change, Refusal

SOURCE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html"
_SECONDS = range(1, 3601)


def service_tokens(change: Change) -> Iterator[Refusal]:
    """Refuse to lead the events of a custom resource that is there to another function."""
    for logical_id in change.resources:
        if "ServiceToken" in change.changed.get(logical_id, ()):
            yield Refusal(
                resource=logical_id,
                message="Modifying service token is not allowed.",
                source=SOURCE,
            )


def service_timeouts(change: Change) -> Iterator[Refusal]:
    """Refuse a `ServiceTimeout` that is no number of seconds of up to an hour."""
    for logical_id, resource in change.resources.items():
        seconds = (resource.get("Properties") or {}).get("ServiceTimeout", _SECONDS.stop - 1)
        if "ServiceToken" in (resource.get("Properties") or {}) and int(seconds) not in _SECONDS:
            yield Refusal(
                resource=logical_id,
                message=f"ServiceTimeout must be between 1 and 3600 seconds: {seconds}",
                source=SOURCE,
            )
