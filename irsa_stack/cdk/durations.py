"""Durations as the CDK has them, read with a sentence for whoever writes a number."""

from aws_cdk import Duration


def seconds_of(duration: Duration | None, *, of: str) -> tuple[float | None, list[str]]:
    """Return the seconds of *duration*, or why it has none.

    Args:
        duration: what was given for the property.
        of: the property, for the message.
    """
    if duration is None:
        return None, []
    if not isinstance(duration, Duration):
        fix = f"write Duration.seconds({duration!r})"
        return None, [f"{of} must be a Duration, got {duration!r}; {fix}"]
    return duration.to_seconds(), []
