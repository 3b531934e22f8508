import pytest
from aws_cdk import Duration

from irsa_stack.cdk.durations import seconds_of


def test_a_duration_has_seconds():
    assert seconds_of(Duration.minutes(1), of="wait") == (60, [])
    assert seconds_of(None, of="wait") == (None, [])


@pytest.mark.parametrize("wrong", [60, "1m", 1.5])
def test_what_is_no_duration_is_told_how_to_be_one(wrong):
    assert seconds_of(wrong, of="wait") == (
        None,
        [f"wait must be a Duration, got {wrong!r}; write Duration.seconds({wrong!r})"],
    )
