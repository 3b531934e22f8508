"""Who STS lets in: tokens of the real API server, and tokens that only look like it."""

import time
from collections.abc import Callable, Iterator

import jwt
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rehearsal.account import Credentials
from rehearsal.environments import ALLOWED_PARAMETER, OTHER_PARAMETER
from rehearsal.product import Product

UNKNOWN_ISSUER = "https://oidc.eks.us-east-1.amazonaws.com/id/" + "A" * 32


def refusal(product: Product, token: str) -> str:
    """Return the error code with which STS refuses a token."""
    with pytest.raises(ClientError) as refused:
        product.account.assume_role(product.role_arn, token)
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture(scope="module", autouse=True)
def other_accounts(deployed: Product) -> None:
    for namespace, name in (("apps", "reader2"), ("apps", "reade"), ("apps2", "reader")):
        deployed.kubernetes.create_service_account(name, namespace=namespace)


@pytest.fixture(scope="module")
def signed(deployed: Product) -> Callable[..., str]:
    """Sign the claims of a real token, changed, with the cluster's own key."""
    real = deployed.token()
    claims = jwt.decode(real, options={"verify_signature": False})
    headers = {"kid": jwt.get_unverified_header(real)["kid"]}
    key = serialization.load_pem_private_key(deployed.account.signing_key.read_bytes(), None)

    def sign(signing_key: object = key, algorithm: str = "RS256", **changes: object) -> str:
        return jwt.encode(claims | changes, signing_key, algorithm, headers=headers)

    return sign


@pytest.fixture
def parameters(deployed: Product) -> Iterator[None]:
    ssm = deployed.account.client("ssm")
    for name in (ALLOWED_PARAMETER, OTHER_PARAMETER):
        ssm.put_parameter(Name=name, Value="content", Type="String")
    yield
    ssm.delete_parameters(Names=[ALLOWED_PARAMETER, OTHER_PARAMETER])


def test_gives_the_role_to_the_right_service_account(deployed):
    answer = deployed.account.assume_role(deployed.role_arn, deployed.token())
    assert answer["SubjectFromWebIdentityToken"] == "system:serviceaccount:apps:reader"
    assert answer["Audience"] == "sts.amazonaws.com"
    assert answer["Provider"] == deployed.provider_arn


@pytest.mark.usefixtures("parameters")
def test_lets_the_role_do_what_its_policy_says(deployed):
    answer = deployed.account.assume_role(deployed.role_arn, deployed.token())
    ssm = deployed.account.client("ssm", Credentials.of(answer))
    assert ssm.get_parameter(Name=ALLOWED_PARAMETER)["Parameter"]["Value"] == "content"


@pytest.mark.usefixtures("parameters")
@pytest.mark.parametrize(
    ("service", "action", "arguments"),
    [
        ("ssm", "get_parameter", {"Name": OTHER_PARAMETER}),
        ("ssm", "put_parameter", {"Name": ALLOWED_PARAMETER, "Value": "x", "Overwrite": True}),
        ("s3", "list_buckets", {}),
        ("iam", "list_roles", {}),
    ],
)
def test_lets_the_role_do_nothing_else(deployed, service, action, arguments):
    answer = deployed.account.assume_role(deployed.role_arn, deployed.token())
    client = deployed.account.client(service, Credentials.of(answer))
    with pytest.raises(ClientError) as refused:
        getattr(client, action)(**arguments)
    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        pytest.param("apps2", "reader", id="other namespace"),
        pytest.param("apps", "reader2", id="suffix"),
        pytest.param("apps", "reade", id="prefix"),
        pytest.param("apps", "default", id="other name"),
    ],
)
def test_refuses_real_tokens_of_other_accounts(deployed, namespace, name):
    assert refusal(deployed, deployed.token(name, namespace=namespace)) == "AccessDenied"


@pytest.mark.parametrize(
    "subject",
    [
        "system:serviceaccount:apps:Reader",
        "system:serviceaccount:APPS:reader",
        "system:serviceaccount:apps:*",
        "system:serviceaccount:*:reader",
        "system:serviceaccount:apps:reader ",
        "reader",
        "",
    ],
)
def test_refuses_subjects_that_only_resemble(deployed, signed, subject):
    assert refusal(deployed, signed(sub=subject)) == "AccessDenied"


def test_a_token_signed_with_the_clusters_key_is_let_in_unless_changed(deployed, signed):
    assert deployed.account.assume_role(deployed.role_arn, signed())["Credentials"]


def test_refuses_a_token_for_the_api_server(deployed):
    token = deployed.token(audience="https://kubernetes.default.svc")
    assert refusal(deployed, token) == "InvalidIdentityToken"


def test_refuses_another_issuer(deployed, signed):
    assert refusal(deployed, signed(iss=UNKNOWN_ISSUER)) == "InvalidIdentityToken"


def test_refuses_a_forged_signature(deployed, signed):
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert refusal(deployed, signed(signing_key=forger)) == "InvalidIdentityToken"


def test_refuses_an_unsigned_token(deployed, signed):
    assert refusal(deployed, signed(None, "none")) == "InvalidIdentityToken"


def test_refuses_an_expired_token(deployed, signed):
    assert refusal(deployed, signed(exp=int(time.time()) - 10)) == "ExpiredTokenException"


def test_refuses_what_is_no_token(deployed):
    assert refusal(deployed, "not.a-token") == "InvalidIdentityToken"


def test_refuses_every_token_once_the_client_id_is_removed(deployed):
    iam = deployed.account.client("iam")
    client_id = {
        "OpenIDConnectProviderArn": deployed.provider_arn,
        "ClientID": "sts.amazonaws.com",
    }
    iam.remove_client_id_from_open_id_connect_provider(**client_id)
    try:
        assert refusal(deployed, deployed.token()) == "InvalidIdentityToken"
    finally:
        iam.add_client_id_to_open_id_connect_provider(**client_id)


def test_refuses_every_token_once_the_thumbprint_is_another(deployed):
    iam = deployed.account.client("iam")
    computed = deployed.provider["ThumbprintList"]
    change = iam.update_open_id_connect_provider_thumbprint
    change(OpenIDConnectProviderArn=deployed.provider_arn, ThumbprintList=["0" * 40])
    try:
        assert refusal(deployed, deployed.token()) == "InvalidIdentityToken"
    finally:
        change(OpenIDConnectProviderArn=deployed.provider_arn, ThumbprintList=computed)


def test_the_thumbprint_is_that_of_the_issuers_root(deployed):
    assert deployed.provider["ThumbprintList"] == [deployed.account.chain.thumbprint]


def test_the_issuer_publishes_the_key_of_the_real_api_server(deployed):
    key_id = jwt.get_unverified_header(deployed.token())["kid"]
    published = deployed.kubernetes.kubectl("get", "--raw", "/openid/v1/jwks")
    assert key_id in published
