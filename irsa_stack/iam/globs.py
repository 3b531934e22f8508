"""Texts with wildcards: what they match, and what of them is left behind a prefix.

A glob is a string whose wildcards are control characters, so that a literal `*` stays one.
"""

from collections.abc import Iterator
from functools import lru_cache

MANY = "\x01"
"""Any number of characters: IAM's `*`."""

ONE = "\x02"
"""One character: IAM's `?`."""

UNKNOWN = "\x03"
"""Literal text that is known only at deploy time."""

PLAIN = "\x04"
"""Literal text that is known only at deploy time, and cannot hold wildcards."""

EVERYTHING = MANY


def is_exact(glob: str) -> bool:
    """Whether *glob* matches one text only."""
    return MANY not in glob and ONE not in glob


def is_everything(glob: str) -> bool:
    """Whether *glob* matches every text that is not empty, or as good as that."""
    return MANY in glob and not glob.strip(MANY + ONE)


def at_worst(glob: str) -> str:
    """Return *glob* with what the deploy decides as wildcards."""
    return glob.replace(UNKNOWN, MANY)


def may_be(glob: str) -> str:
    """Return the glob that matches all that *glob* can turn out to be."""
    return glob.replace(UNKNOWN, MANY).replace(PLAIN, MANY)


def readable(glob: str) -> str:
    """Write *glob* as IAM does, with `…` for what only the deploy decides."""
    for written, character in (("*", MANY), ("?", ONE), ("…", UNKNOWN), ("…", PLAIN)):
        glob = glob.replace(character, written)
    return glob


@lru_cache(maxsize=4096)
def matches(glob: str, text: str) -> bool:
    """Whether *glob* matches *text*, letter by letter."""
    if is_exact(glob):
        return glob == text
    return _overlap(glob, text)


@lru_cache(maxsize=4096)
def overlap(one: str, other: str) -> bool:
    """Whether any text matches both globs."""
    if is_exact(one) and is_exact(other):
        return one == other
    return _overlap(one, other)


def _overlap(one: str, other: str) -> bool:
    reached = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        at, to = todo.pop()
        if at == len(one) and to == len(other):
            return True
        here, there = one[at : at + 1], other[to : to + 1]
        steps = []
        if here == MANY:
            steps.append((at + 1, to))
        if there == MANY:
            steps.append((at, to + 1))
        if here and there and (here == there or {here, there} & {MANY, ONE}):
            steps.append((at + (here != MANY), to + (there != MANY)))
        for step in steps:
            if step not in reached:
                reached.add(step)
                todo.append(step)
    return False


def covers(wide: str, narrow: str) -> bool:
    """Whether *wide* surely matches all that *narrow* matches; False if that is not plain."""
    if wide == narrow or (wide and not wide.strip(MANY)):
        return True
    if is_exact(narrow):
        return matches(wide, narrow)
    # A wildcard of `narrow` is a letter that only a wildcard of `wide` takes.
    return _takes(wide, narrow)


def _takes(wide: str, narrow: str) -> bool:
    at_once = {0}
    for letter in narrow:
        following = set()
        for at in _with_nothing(wide, at_once):
            here = wide[at : at + 1]
            if here == MANY:
                following.add(at)
            elif here and (here == letter or (here == ONE and letter != MANY)):
                following.add(at + 1)
        at_once = following
    return len(wide) in _with_nothing(wide, at_once)


def _with_nothing(glob: str, positions: set[int]) -> set[int]:
    found = set(positions)
    for position in positions:
        at = position
        while glob[at : at + 1] == MANY:
            at += 1
            found.add(at)
    return found


def after(glob: str, prefix: str) -> Iterator[str]:
    """Return the globs of what may follow *prefix* in texts that *glob* matches."""
    if glob.startswith(prefix):
        yield glob[len(prefix) :]
        return
    reached = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        at, to = todo.pop()
        if to == len(prefix):
            yield glob[at:]
            continue
        here = glob[at : at + 1]
        steps = []
        if here == MANY:
            steps += [(at + 1, to), (at, to + 1)]
        elif here in (ONE, prefix[to]):
            steps.append((at + 1, to + 1))
        for step in steps:
            if step not in reached:
                reached.add(step)
                todo.append(step)


def split(glob: str, separator: str) -> Iterator[tuple[str, str]]:
    """Return all ways in which *glob* matches a text cut at its first *separator*."""
    for position, letter in enumerate(glob):
        if letter == MANY:
            yield glob[: position + 1], glob[position:]
        elif letter == ONE:
            yield glob[:position], glob[position + 1 :]
        elif letter == separator:
            yield glob[:position], glob[position + 1 :]
            return
