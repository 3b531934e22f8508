"""AWS's own managed policies, by a list that is some months old."""

import difflib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_LIST = Path(__file__).with_suffix(".txt")


def unknown_policy(arn: str) -> Iterator[str]:
    """Say that the list lacks the AWS managed policy *arn*: a new one, or misspelt."""
    owner, _, name = arn.partition(":policy/")
    if not owner.endswith(":aws"):
        return
    day, names = _known()
    if name in names:
        return
    last = name.rpartition("/")[2]
    paths = [one for one in names if one.rpartition("/")[2] == last]
    near = paths or difflib.get_close_matches(name, names, n=1)
    fix = f"did you mean {owner}:policy/{near[0]}?" if near else "copy it from IAM"
    yield f"{arn} must be a policy of AWS, got one that the list of {day} lacks; {fix}"


@cache
def _known() -> tuple[str, frozenset[str]]:
    head, _, *names = _LIST.read_text(encoding="ascii").splitlines()
    return head.rpartition(" ")[2], frozenset(names)
