"""Numbers with a least and a most."""

from collections.abc import Iterator

from rehearsal.refusals.change import Change, Refusal

_INVOCATIONS = "https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html"
_FUNCTIONS = "https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"

RANGES = {
    ("AWS::Lambda::EventInvokeConfig", "MaximumEventAgeInSeconds"): (60, 21_600, _INVOCATIONS),
    ("AWS::Lambda::EventInvokeConfig", "MaximumRetryAttempts"): (0, 2, _INVOCATIONS),
    ("AWS::Lambda::Function", "Timeout"): (1, 900, _FUNCTIONS),
    ("AWS::Lambda::Function", "MemorySize"): (128, 10_240, _FUNCTIONS),
}
"""Type and property: least, most, source."""


def exceeded(change: Change) -> Iterator[Refusal]:
    """Refuse a number outside its range."""
    for (kind, key), (least, most, source) in RANGES.items():
        for logical_id, properties in change.of_type(kind):
            value = properties.get(key, least)
            if not least <= int(value) <= most:
                yield Refusal(
                    resource=logical_id,
                    message=f"1 validation error detected: Value '{value}' at '{key}' failed to"
                    f" satisfy constraint: Member must be between {least} and {most}",
                    source=source,
                )
