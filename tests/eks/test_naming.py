import pytest

from irsa_stack.eks.naming import cluster_name_faults, network_id_faults, vpc_id_faults

TOKEN = "${Token[TOKEN.12]}"


@pytest.mark.parametrize("name", ["a", "A-1_b", "1", "c" * 100, TOKEN])
def test_takes_the_names_that_eks_takes(name):
    assert not list(cluster_name_faults(name))


@pytest.mark.parametrize("name", ["", "-a", "_a", "a.b", "a b", "c" * 101, "a\n", "é", None, 1])
def test_refuses_the_names_that_eks_refuses(name):
    [fault] = cluster_name_faults(name, of="value")
    assert fault.startswith("value must be 1-100 letters")
    assert f"got {name!r}; " in fault


@pytest.mark.parametrize("digits", ["01234567", "0123456789abcdef0"])
def test_an_id_has_8_or_17_digits(digits):
    assert not list(vpc_id_faults(f"vpc-{digits}"))
    assert not list(network_id_faults(f"subnet-{digits}", "subnet", of="value"))
    assert not list(network_id_faults(f"sg-{digits}", "sg", of="value"))


@pytest.mark.parametrize("digits", ["", "0123456", "0123456789", "0" * 16, "0" * 18, "0123456g"])
def test_an_id_has_no_other_number_of_digits(digits):
    assert list(vpc_id_faults(f"vpc-{digits}"))
    assert list(network_id_faults(f"subnet-{digits}", "subnet", of="value"))
    assert list(network_id_faults(f"sg-{digits}", "sg", of="value"))


@pytest.mark.parametrize("value", ["", None, 1, "sg-01234567", "vpc-01234567\n", "vpc"])
def test_refuses_what_is_no_id_of_a_vpc(value):
    [fault] = vpc_id_faults(value)
    assert fault.startswith("vpc_id must be the id of the cluster's VPC")
    assert f"got {value!r}; " in fault


def test_an_id_known_at_deploy_only_has_no_faults():
    assert not list(vpc_id_faults(TOKEN))
    assert not list(network_id_faults(TOKEN, "subnet", of="value"))
