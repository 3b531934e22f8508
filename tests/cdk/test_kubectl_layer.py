import pytest
from aws_cdk import Stack, aws_eks, aws_eks_v2

from irsa_stack import InvalidInput
from irsa_stack.cdk.kubectl_layer import kubectl_layer
from tests.support.templates import app_with_flags, template_of


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


def layers(stack):
    return [key for key in template_of(stack)["Resources"] if key.startswith("KubectlV")]


def test_a_version_gets_the_layer_of_its_minor_version(stack):
    kubectl_layer(stack, "1.36")
    assert layers(stack)[0].startswith("KubectlV36")


def test_version_1_29_gets_the_layer_of_the_article(stack):
    kubectl_layer(stack, "1.29")
    assert layers(stack)[0].startswith("KubectlV29")


def test_without_a_version_the_newest_installed_layer_serves(stack):
    kubectl_layer(stack, None)
    assert layers(stack)[0].startswith("KubectlV36")


def test_a_stack_has_one_layer_however_often_it_is_asked(stack):
    assert kubectl_layer(stack, "1.36") is kubectl_layer(stack, "1.36")
    assert len(layers(stack)) == 1


def test_a_layer_that_is_not_installed_names_its_package(stack):
    with pytest.raises(InvalidInput, match=r"pip install aws-cdk\.lambda-layer-kubectl-v31"):
        kubectl_layer(stack, "1.31")


@pytest.mark.parametrize("eks", [aws_eks, aws_eks_v2])
def test_a_version_of_the_cdk_gets_the_layer_of_its_minor_version(stack, eks):
    kubectl_layer(stack, eks.KubernetesVersion.of("1.29"))
    assert layers(stack)[0].startswith("KubectlV29")


def test_a_number_is_refused_as_no_version(stack):
    with pytest.raises(InvalidInput, match=r"kubernetes_version must be .* got 1\.36; put it in q"):
        kubectl_layer(stack, 1.36)
