import pytest
from aws_cdk import CfnParameter, Stack, aws_iam

from irsa_stack import EksOidcProvider, InvalidInput, RootCaThumbprint, Thumbprints
from irsa_stack.cdk.oidc_provider import issuer_from_arn
from tests.support.templates import app_with_flags, properties_of, template_of, types_of
from tests.support.trust_resolver import CHINA, COMMERCIAL, Deployment

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
URL = f"https://{ISSUER}"
PROVIDER = "AWS::IAM::OIDCProvider"
THUMBPRINT = "06b25927c42a721631c1efd9431e648fa62e1e39"


@pytest.fixture
def stack():
    return Stack(app_with_flags(), "Stack")


def test_a_provider_is_a_native_resource(stack):
    EksOidcProvider(stack, "OidcProvider", issuer_url=URL, thumbprints=Thumbprints.chosen_by_iam())
    assert types_of(stack) == [PROVIDER]


def test_the_url_and_the_audience_are_as_tokens_have_them(stack):
    EksOidcProvider(stack, "OidcProvider", issuer_url=URL)
    found = properties_of(stack, PROVIDER)
    assert (found["Url"], found["ClientIdList"]) == (URL, ["sts.amazonaws.com"])


def test_thumbprints_chosen_by_iam_are_left_out(stack):
    EksOidcProvider(stack, "OidcProvider", issuer_url=URL, thumbprints=Thumbprints.chosen_by_iam())
    assert "ThumbprintList" not in properties_of(stack, PROVIDER)


def test_exact_thumbprints_stand_in_the_template(stack):
    EksOidcProvider(
        stack, "OidcProvider", issuer_url=URL, thumbprints=Thumbprints.exact([THUMBPRINT])
    )
    assert properties_of(stack, PROVIDER)["ThumbprintList"] == [THUMBPRINT]
    assert types_of(stack) == [PROVIDER]


def test_computed_thumbprints_come_from_the_custom_resource(stack):
    provider = EksOidcProvider(stack, "OidcProvider", issuer_url=URL)
    assert isinstance(provider.root_ca_thumbprint, RootCaThumbprint)
    separator, value = properties_of(stack, PROVIDER)["ThumbprintList"]["Fn::Split"]
    assert separator == ","
    assert value["Fn::GetAtt"][1] == "Thumbprints"


def test_thumbprints_to_keep_reach_the_custom_resource(stack):
    EksOidcProvider(
        stack,
        "OidcProvider",
        issuer_url=URL,
        thumbprints=Thumbprints.computed(additional=[THUMBPRINT]),
    )
    assert properties_of(stack, "Custom::RootCaThumbprint")["Additional"] == [THUMBPRINT]


def test_a_provider_names_its_issuer_and_its_arn(stack):
    provider = EksOidcProvider(stack, "OidcProvider", issuer_url=URL)
    assert provider.issuer == provider.open_id_connect_provider_issuer == ISSUER
    assert provider.provider_arn == provider.open_id_connect_provider_arn


def test_the_cdk_takes_it_for_its_own_provider(stack):
    provider = EksOidcProvider(stack, "OidcProvider", issuer_url=URL)
    principal = aws_iam.OpenIdConnectPrincipal(provider)
    aws_iam.Role(stack, "Role", assumed_by=principal)
    assert "AWS::IAM::Role" in types_of(stack)


def test_the_issuer_of_a_token_url_follows_from_the_arn(stack):
    url = CfnParameter(stack, "Url").value_as_string
    provider = EksOidcProvider(stack, "OidcProvider", issuer_url=url)
    issuer = stack.resolve(provider.issuer)
    deployment = Deployment({"Stack": template_of(stack)}, COMMERCIAL, {"Url": URL})
    assert deployment.value("Stack", issuer) == ISSUER


@pytest.mark.parametrize("place", [COMMERCIAL, CHINA], ids=lambda place: place.partition)
def test_an_imported_provider_is_of_the_place_of_its_stack(stack, place):
    provider = EksOidcProvider.from_issuer_url(stack, "OidcProvider", URL)
    arn = stack.resolve(provider.open_id_connect_provider_arn)
    found = Deployment({"Stack": template_of(stack)}, place).value("Stack", arn)
    assert found == f"arn:{place.partition}:iam::111122223333:oidc-provider/{ISSUER}"


@pytest.mark.parametrize("is_literal", [True, False])
def test_an_imported_provider_names_its_issuer_and_its_arn(stack, is_literal):
    url = URL if is_literal else CfnParameter(stack, "Url").value_as_string
    provider = EksOidcProvider.from_issuer_url(stack, "OidcProvider", url)
    assert provider.issuer == provider.open_id_connect_provider_issuer
    assert provider.provider_arn == provider.open_id_connect_provider_arn
    deployment = Deployment({"Stack": template_of(stack)}, COMMERCIAL, {"Url": URL})
    assert deployment.value("Stack", stack.resolve(provider.issuer)) == ISSUER


def test_an_imported_provider_defines_nothing(stack):
    provider = EksOidcProvider.from_issuer_url(stack, "OidcProvider", URL)
    assert provider.root_ca_thumbprint is None
    assert not template_of(stack).get("Resources")


def test_the_cdk_takes_an_imported_provider_for_its_own(stack):
    provider = EksOidcProvider.from_issuer_url(stack, "OidcProvider", URL)
    aws_iam.Role(stack, "Role", assumed_by=aws_iam.OpenIdConnectPrincipal(provider))
    assert types_of(stack) == ["AWS::IAM::Role"]


def test_one_issuer_twice_in_a_stack_is_refused(stack):
    EksOidcProvider(stack, "Blue", issuer_url=URL)
    with pytest.raises(InvalidInput, match=r"^issuer_url must have one EksOidcProvider in a stack"):
        EksOidcProvider(stack, "Green", issuer_url=URL)


def test_one_issuer_in_two_stacks_may_be_of_two_accounts(stack):
    EksOidcProvider(stack, "OidcProvider", issuer_url=URL)
    EksOidcProvider(Stack(stack.node.root, "Other"), "OidcProvider", issuer_url=URL)


def test_thumbprints_of_another_provider_may_be_trusted(stack):
    other = RootCaThumbprint(stack, "Thumbprint", issuer_url=URL).thumbprints
    EksOidcProvider(stack, "Exact", issuer_url=URL, thumbprints=Thumbprints.exact(other))
    [found] = properties_of(stack, PROVIDER)["ThumbprintList"]["Fn::Split"][1]["Fn::GetAtt"][1:]
    assert found == "Thumbprints"


def test_an_issuer_is_read_from_the_arn_of_a_provider():
    assert issuer_from_arn(f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}") == ISSUER


@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [
        ({"issuer_url": "http://x.example"}, "issuer_url must start with https://"),
        ({"issuer_url": f"{URL}/"}, "issuer_url must have no trailing slash"),
        ({"client_ids": "sts.amazonaws.com"}, "client_ids must be a list"),
        ({"client_ids": []}, "client_ids must hold 1 to 100 audiences, got 0"),
        ({"client_ids": [str(n) for n in range(101)]}, "client_ids must hold 1 to 100 audiences"),
        ({"client_ids": ["x" * 256]}, "client_ids must be 1 to 255 characters each"),
        ({"issuer_url": None}, "issuer_url must start with https://"),
        ({"thumbprints": "computed"}, "thumbprints must be Thumbprints, got 'computed'; write"),
        ({"thumbprints": [THUMBPRINT]}, "thumbprints must be Thumbprints, got ["),
        ({"tags": {f"k{n}": "v" for n in range(51)}}, "tags of OidcProvider must be at most 50"),
        ({"ca_bundle": "ca.pem"}, "ca_bundle must be PEM text"),
    ],
)
def test_refuses_what_iam_would_refuse(stack, kwargs, rule):
    with pytest.raises(InvalidInput) as caught:
        EksOidcProvider(stack, "OidcProvider", **({"issuer_url": URL} | kwargs))
    assert caught.value.faults[0].startswith(rule)


def test_a_provider_is_imported_by_its_arn(stack):
    arn = f"arn:aws:iam::111122223333:oidc-provider/{URL.removeprefix('https://')}"
    found = EksOidcProvider.from_arn(stack, "Imported", arn)
    assert (found.provider_arn, found.issuer) == (arn, URL.removeprefix("https://"))


@pytest.mark.parametrize("arn", ["arn:aws:iam::111122223333:role/api", URL, ""])
def test_an_arn_of_something_else_is_refused(stack, arn):
    with pytest.raises(InvalidInput, match="provider_arn must"):
        EksOidcProvider.from_arn(stack, "Imported", arn)
