"""Two hundred ways to get a shipped file wrong: each is refused in words, or is right."""

import copy
import random

import pytest
import yaml

from irsa_stack.environment.document import place_text, values_of
from irsa_stack.environment.environment_file import load_environment
from irsa_stack.faults import InvalidInput
from tests.support.templates import ENVIRONMENTS, NAMES

COPIES_A_FILE = 40
OTHERS = [
    None, True, 0, -1, 7.5, "", " ", "x", "*", "a\nb", [], {}, [None], [1], {"x": 1}, "é",
    "A" * 300,
    "arn:aws:iam::999999999999:policy/x", "arn:aws-cn:iam::111122223333:role/x",
    "vpc-12345", "${AWS::Region}", "${Token[TOKEN.1]}", "eu-west-9", 111122223333, "1.36\n",
    "DUMMY",
]  # fmt: skip


def set_at(document, place, value):
    *parents, last = place
    target = document
    for part in parents:
        target = target[part]
    target[last] = value


def misspelt(document, place, rng):
    *parents, last = place
    target = document
    for part in parents:
        target = target[part]
    if isinstance(last, int):
        target.append(copy.deepcopy(target[last]))
        return f"{place_text(place)} twice"
    at = rng.randrange(len(last))
    wrong = last[:at] + rng.choice("xq_") + last[at + 1 :]
    target[wrong] = target.pop(last)
    return f"{place_text(place)} as {wrong}"


def mutations():
    for name in NAMES:
        document = yaml.safe_load((ENVIRONMENTS / f"{name}.yaml").read_text())
        places = [place for place, _ in values_of(document) if place]
        rng = random.Random(name)  # noqa: S311 (the same ones every time)
        for number in range(COPIES_A_FILE):
            changed, place = copy.deepcopy(document), rng.choice(places)
            if number % 4 == 0:
                what = misspelt(changed, place, rng)
            else:
                other = rng.choice(OTHERS)
                set_at(changed, place, other)
                what = f"{place_text(place)} = {str(other)[:20]!r}"
            yield pytest.param(place, changed, id=f"{name}-{number}-{what}")


def read(folder, document):
    """What the file is read as, or why it is refused."""
    path = folder / "mutated.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        return load_environment(path), ()
    except InvalidInput as error:
        return None, error.faults


@pytest.mark.parametrize(("place", "document"), list(mutations()))
def test_a_wrong_file_is_refused_with_its_place_and_what_to_type(tmp_path, place, document):
    settings, faults = read(tmp_path, document)
    for fault in faults:
        assert "; " in fault, fault
        assert len(fault) < 700
        assert "Token[TOKEN.1]}'; try" not in fault
    if settings is None:
        named = [part for part in place if isinstance(part, str)]
        assert any(word in " ".join(faults) for word in [*named, "eu-west-9"]), faults
    else:
        # Nothing was lost on the way: what the file says is what the settings say.
        assert yaml.safe_load(yaml.safe_dump(document)) == settings.model_dump(exclude_unset=True)
