import pytest

from irsa_stack import controllers


@pytest.mark.parametrize("name", controllers.__all__)
def test_each_public_name_is_there(name):
    assert getattr(controllers, name).__name__ == name


def test_lists_its_public_names():
    assert dir(controllers) == controllers.__all__


def test_says_which_name_it_lacks():
    with pytest.raises(AttributeError, match=r"'irsa_stack\.controllers' has no attribute 'Karp"):
        _ = controllers.Karpenter
