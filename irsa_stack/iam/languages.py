"""Sets of texts, described by globs that must and must not match, and whether any text is left.

A deploy-time value or a policy variable is one letter of its own that only `*` takes: it is the
same text wherever it stands, and not known.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from irsa_stack.cloudformation.deploy_time import TOKEN
from irsa_stack.iam.globs import MANY, ONE

IN_PART = "\x07"
"""Any number of characters but `:`, for the first five parts of an ARN."""

STATES_AT_MOST = 20_000

_WILD = MANY + ONE + IN_PART
_FIRST_UNKNOWN = 0xF0000
_UNKNOWN = re.compile(rf"{TOKEN.pattern}|\$\{{[^}}]*\}}")
_letters: dict[str, str] = {}
_texts: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Literal:
    """Texts that any of some globs match, or none of them does.

    Args:
        patterns: globs.
        positive: whether a glob must match.
        absent: whether having no text at all is in the set.
        ignores_case: whether letter case counts for nothing; the globs are in lower case.
    """

    patterns: frozenset[str]
    positive: bool = True
    absent: bool = False
    ignores_case: bool = False

    @property
    def complement(self) -> "Literal":
        """All that is not in the set."""
        return replace(self, positive=not self.positive, absent=not self.absent)

    @property
    def is_everything(self) -> bool:
        """Whether every text is in the set."""
        return (MANY in self.patterns) if self.positive else not self.patterns


def glob(text: str, *, like: bool, variables: bool, in_parts: bool = False) -> str:
    """Return *text* of a policy as a glob.

    Args:
        text: as written; deploy-time values and policy variables become letters of their own.
        like: whether `*` and `?` are wildcards.
        variables: whether `${...}` is a policy variable.
        in_parts: whether it is an ARN whose first five parts are matched each for itself.
    """
    parts = text.split(":", 5) if in_parts else [text]
    whole = len(parts) - 1
    return ":".join(
        "".join(
            _pieces(part, like=like, variables=variables, many=MANY if at == whole else IN_PART)
        )
        for at, part in enumerate(parts)
    )


def _pieces(text: str, *, like: bool, variables: bool, many: str) -> Iterator[str]:
    def wild(piece: str) -> str:
        return piece.replace("*", many).replace("?", ONE) if like else piece

    end = 0
    for found in _UNKNOWN.finditer(text):
        yield wild(text[end : found.start()])
        end = found.end()
        content = found[0][2:-1]
        is_token = TOKEN.fullmatch(found[0]) is not None
        if content in ("*", "?", "$") and variables:
            yield content
        elif variables or is_token:
            yield letter(found[0])
        else:
            yield wild(found[0])
    yield wild(text[end:])


def letter(unknown: str) -> str:
    """Return the letter that stands for what is not known."""
    key = unknown.replace("Token[plain.", "Token[")
    if key not in _letters:
        _letters[key] = chr(_FIRST_UNKNOWN + len(_letters))
        _texts[_letters[key]] = unknown
    return _letters[key]


def _has_unknown(patterns: Iterable[str]) -> bool:
    return any(ord(one) >= _FIRST_UNKNOWN for pattern in patterns for one in pattern)


def _is_exact(pattern: str) -> bool:
    return not any(one in pattern for one in _WILD)


@lru_cache(maxsize=200_000)
def is_empty(literals: frozenset[Literal]) -> bool | None:
    """Whether no text is in all of *literals*; None if that cannot be told.

    Having no text at all is up to the caller.
    """
    positive = [one for one in literals if one.positive and not one.is_everything]
    negative = [one for one in literals if not one.positive and one.patterns]
    positive = [_reduced(one, negative) for one in positive]
    if any(MANY in one.patterns for one in negative) or any(not one.patterns for one in positive):
        return True
    if len(positive) <= 1 and not negative:
        return False  # every glob matches something
    exact = _empty_by_exact(positive, negative)
    if exact is not None:
        return exact
    return _empty_by_search(positive, negative)


def _empty_by_search(positive: list[Literal], negative: list[Literal]) -> bool | None:
    """Decide by following the letters; what is not known may be any text, or only itself."""
    if not any(_has_unknown(one.patterns) for one in (*positive, *negative)):
        return _no_text(positive, negative)
    loose = _no_text(
        [replace(one, patterns=frozenset(map(_loosened, one.patterns))) for one in positive],
        [
            replace(
                one, patterns=frozenset(text for text in one.patterns if not _has_unknown([text]))
            )
            for one in negative
        ],
    )
    if loose:
        return True
    return False if _no_text(positive, negative) is False else None


def _loosened(pattern: str) -> str:
    return "".join(MANY if ord(one) >= _FIRST_UNKNOWN else one for one in pattern)


def _reduced(one: Literal, negative: list[Literal]) -> Literal:
    """Return *one* without the globs that another forbids whole."""
    if not negative:
        return one
    kept = frozenset(
        pattern
        for pattern in one.patterns
        if not any(
            _takes(forbidden, pattern)
            for other in negative
            if other.ignores_case == one.ignores_case
            for forbidden in other.patterns
        )
    )
    return one if kept == one.patterns else replace(one, patterns=kept)


def _empty_by_exact(positive: list[Literal], negative: list[Literal]) -> bool | None:
    """Decide by trying the texts of a literal that lists them, without unknown parts anywhere."""
    listed = next(
        (
            one
            for one in positive
            if not one.ignores_case
            and all(map(_is_exact, one.patterns))
            and not _has_unknown(one.patterns)
        ),
        None,
    )
    others = [one for one in (*positive, *negative) if one is not listed]
    if listed is None or any(_has_unknown(one.patterns) for one in others):
        return None
    return not any(
        all(_contains(other, text) == other.positive for other in others)
        for text in listed.patterns
    )


def _contains(one: Literal, text: str) -> bool:
    text = text.lower() if one.ignores_case else text
    return any(_takes(pattern, text) for pattern in one.patterns)


@lru_cache(maxsize=200_000)
def _takes(wide: str, narrow: str) -> bool:
    """Whether *wide* matches *narrow*, whose wildcards are letters that only wildcards take."""
    if wide in (narrow, MANY):
        return True
    if _is_exact(wide):
        return False
    machine = _Machine.of([wide])
    states = machine.start
    for one in narrow:
        states = machine.after_wild(states, one) if one in _WILD else machine.after(states, one)
        if not states:
            return False
    return machine.accepts(states)


@dataclass(frozen=True, slots=True)
class _Machine:
    """Globs as one automaton; a set of its states is the bits of a number."""

    symbols: dict[str, int]
    any_symbol: int
    loops: int
    loops_in_part: int
    start: int
    ends: int

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "_Machine":
        symbols: dict[str, int] = {}
        any_symbol = loops = loops_in_part = start = ends = at = 0
        for pattern in patterns:
            start |= 1 << at
            for one in pattern:
                if one == MANY:
                    loops |= 1 << at
                elif one == IN_PART:
                    loops_in_part |= 1 << at
                else:
                    if one == ONE:
                        any_symbol |= 1 << at
                    else:
                        symbols[one] = symbols.get(one, 0) | 1 << at
                    at += 1
            ends |= 1 << at
            at += 1
        return cls(symbols, any_symbol, loops, loops_in_part, start, ends)

    def after(self, states: int, one: str) -> int:
        takes = self.symbols.get(one, 0)
        stays = self.loops
        if ord(one) < _FIRST_UNKNOWN:
            takes |= self.any_symbol
            if one != ":":
                stays |= self.loops_in_part
        return (states & takes) << 1 | states & stays

    def after_wild(self, states: int, wildcard: str) -> int:
        """Return where any letter that a wildcard stands for leads."""
        if wildcard == ONE:
            return (states & self.any_symbol) << 1 | states & self.loops
        return states & (self.loops | (self.loops_in_part if wildcard == IN_PART else 0))

    def accepts(self, states: int) -> bool:
        return bool(states & self.ends)


def _no_text(positive: list[Literal], negative: list[Literal]) -> bool | None:
    every = [*positive, *negative]
    machines = [_Machine.of(sorted(one.patterns)) for one in every]
    letters = sorted(_alphabet(every))
    start = tuple(machine.start for machine in machines)
    seen = {start}
    todo = [start]
    while todo:
        states = todo.pop()
        if all(
            machine.accepts(at) == one.positive
            for machine, at, one in zip(machines, states, every, strict=True)
        ):
            return False
        for each in letters:
            following = tuple(
                machine.after(at, each.lower() if one.ignores_case else each)
                for machine, at, one in zip(machines, states, every, strict=True)
            )
            if following in seen or not all(following[: len(positive)]):
                continue
            if len(seen) >= STATES_AT_MOST:
                return None
            seen.add(following)
            todo.append(following)
    return True


def _alphabet(literals: Iterable[Literal]) -> set[str]:
    """Return the letters that globs tell apart, and one that stands for all others."""
    every = {one for literal in literals for text in literal.patterns for one in text}
    letters = every - set(_WILD)
    if any(one.ignores_case for one in literals):
        letters |= {one.upper() for one in letters if len(one.upper()) == 1}
    return letters | {"\x00", ":"}


def readable(pattern: str) -> str:
    """Write a glob as a policy does."""
    written = (_texts.get(one, one) for one in pattern.replace(MANY, "*").replace(IN_PART, "*"))
    return "".join(written).replace(ONE, "?")
