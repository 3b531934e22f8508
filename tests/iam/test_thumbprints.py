import pytest

from irsa_stack.faults import InvalidInput
from irsa_stack.iam.thumbprints import Thumbprints

AMAZON = "06b25927c42a721631c1efd9431e648fa62e1e39"
STARFIELD = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"
TOKEN = "${Token[TOKEN.12]}"


def values(count):
    return [f"{number:040x}" for number in range(count)]


def faults_of(make, given):
    with pytest.raises(InvalidInput) as caught:
        make(given)
    return caught.value.faults


def test_computed_needs_nothing():
    assert Thumbprints.computed() == Thumbprints("computed")


def test_computed_keeps_earlier_ones_beside():
    assert Thumbprints.computed(additional=[STARFIELD]).values == (STARFIELD,)


def test_exact_holds_what_is_given():
    assert Thumbprints.exact([AMAZON, STARFIELD]) == Thumbprints("exact", (AMAZON, STARFIELD))


def test_chosen_by_iam_gives_none():
    assert Thumbprints.chosen_by_iam() == Thumbprints("chosen-by-iam")


def test_takes_a_generator_for_a_list():
    assert Thumbprints.exact(value for value in [AMAZON]).values == (AMAZON,)
    assert Thumbprints.computed(additional=(value for value in [AMAZON])).values == (AMAZON,)


def test_takes_values_known_only_at_deploy():
    assert Thumbprints.exact([TOKEN]).values == (TOKEN,)


@pytest.mark.parametrize(
    "make", [Thumbprints.exact, lambda values: Thumbprints.computed(additional=values)]
)
def test_takes_a_list_known_only_at_deploy(make):
    assert make(["#{Token[TOKEN.12]}"]).values == ("#{Token[TOKEN.12]}",)


@pytest.mark.parametrize(("source", "values"), [("bogus", ()), ("exact", ()), (None, (AMAZON,))])
def test_is_never_taken_for_iams_choice_by_mistake(source, values):
    with pytest.raises(InvalidInput, match=r"^thumbprints must come from one of computed, exact"):
        Thumbprints(source, values)


def test_exact_holds_5_at_most():
    assert len(Thumbprints.exact(values(5)).values) == 5
    [fault] = faults_of(Thumbprints.exact, values(6))
    assert fault == "thumbprints must hold at most 5 values, got 6; drop the oldest"


def test_leaves_room_for_the_computed_one():
    assert len(Thumbprints.computed(additional=values(4)).values) == 4
    with pytest.raises(InvalidInput, match="additional must hold at most 4 values, got 5"):
        Thumbprints.computed(additional=values(5))


def test_exact_none_is_not_iams_choice():
    [fault] = faults_of(Thumbprints.exact, [])
    assert fault.endswith("for IAM's choice use Thumbprints.chosen_by_iam()")


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        (AMAZON.upper(), f"try {AMAZON!r}"),
        (":".join(AMAZON[at : at + 2] for at in range(0, 40, 2)), f"try {AMAZON!r}"),
        ("ab" * 32, "it is a SHA-1, not a SHA-256"),
        ("", "it is a SHA-1, not a SHA-256"),
        (AMAZON + "\n", "it is a SHA-1, not a SHA-256"),
        ("g" * 40, "it is a SHA-1, not a SHA-256"),
    ],
)
def test_refuses_what_is_no_sha1_and_names_the_fix(value, fix):
    [fault] = faults_of(Thumbprints.exact, [value])
    assert fault.startswith("thumbprints must be 40 lower-case hexadecimal characters each (SHA-1)")
    assert fault.endswith(fix)


def test_refuses_one_value_twice():
    [fault] = faults_of(Thumbprints.exact, [AMAZON, AMAZON])
    assert fault == f"thumbprints must hold each value once, got {AMAZON!r} twice; remove one"


def test_refuses_one_text_in_place_of_a_list():
    [fault] = faults_of(Thumbprints.exact, AMAZON)
    assert fault == f"thumbprints must be a list, got {AMAZON!r}; put it in brackets"


def test_reports_every_fault_at_once():
    assert len(faults_of(Thumbprints.exact, ["x", "y", AMAZON, AMAZON, *values(3)])) == 4
