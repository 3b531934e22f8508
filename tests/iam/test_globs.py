import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irsa_stack.iam import globs

TEXTS = ["".join(letters) for size in range(5) for letters in itertools.product("a:", repeat=size)]
PATTERNS = st.text(f"a:{globs.MANY}{globs.ONE}", max_size=5)


def matched(glob):
    """Whom an expression of Python's matches, in place of our own walk."""
    rule = re.compile(
        "".join({globs.MANY: ".*", globs.ONE: "."}.get(one, re.escape(one)) for one in glob)
    )
    return {text for text in TEXTS if rule.fullmatch(text)}


@given(glob=PATTERNS)
def test_matches_what_a_regular_expression_does(glob):
    assert {text for text in TEXTS if globs.matches(glob, text)} == matched(glob)


@given(one=PATTERNS, other=PATTERNS)
def test_globs_overlap_where_a_text_matches_both(one, other):
    if matched(one) & matched(other):
        assert globs.overlap(one, other)


@given(wide=PATTERNS, narrow=PATTERNS)
def test_what_a_glob_covers_it_matches(wide, narrow):
    if globs.covers(wide, narrow):
        assert matched(narrow) <= matched(wide)


@given(glob=PATTERNS, prefix=st.text("a:", max_size=2))
def test_what_follows_a_prefix_is_what_the_rest_matches(glob, prefix):
    rests = [matched(rest) for rest in globs.after(glob, prefix)]
    for text in TEXTS:
        if len(prefix + text) < 5:
            assert any(text in rest for rest in rests) is (prefix + text in matched(glob))


@given(glob=PATTERNS)
def test_a_split_at_the_first_colon_loses_nobody(glob):
    pairs = [(matched(left), matched(right)) for left, right in globs.split(glob, ":")]
    for text in matched(glob):
        left, colon, right = text.partition(":")
        if colon:
            assert any(left in lefts and right in rights for lefts, rights in pairs)


@pytest.mark.parametrize("glob", ["", "a", globs.ONE])
def test_few_things_are_everything(glob):
    assert not globs.is_everything(glob)
    assert not globs.covers(glob, "ab")
