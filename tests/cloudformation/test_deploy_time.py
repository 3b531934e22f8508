import pytest

from irsa_stack.cloudformation.deploy_time import is_deploy_time, is_deploy_time_list


@pytest.mark.parametrize("value", ["${Token[TOKEN.7]}", "a-${Token[AWS.Region.4]}-b"])
def test_knows_what_only_a_deploy_can_tell(value):
    assert is_deploy_time(value)


@pytest.mark.parametrize("value", ["", "a", "${AWS::Region}", None, 123, ["${Token[TOKEN.7]}"]])
def test_takes_nothing_else_for_it(value):
    assert not is_deploy_time(value)


def test_knows_a_list_that_only_a_deploy_can_tell():
    assert is_deploy_time_list(["#{Token[TOKEN.7]}"])


@pytest.mark.parametrize("values", [[], ["a"], [None], ["#{Token[TOKEN.7]}", "a"]])
def test_takes_no_other_list_for_it(values):
    assert not is_deploy_time_list(values)
