import copy
import pickle

import pytest

from irsa_stack.faults import InvalidInput, refuse


def test_an_error_lists_its_faults_a_line_each():
    with pytest.raises(InvalidInput, match=r"^one\ntwo$"):
        refuse(["one", "two"])


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])  # noqa: S301 (its own)
def test_an_error_survives_pickling(again):
    error = again(InvalidInput(["one", "two"]))
    assert (error.faults, str(error)) == (("one", "two"), "one\ntwo")
