import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irsa_stack.cloudformation.policy_document import trust_document
from irsa_stack.iam.trust import trust_policy

PROVIDER = "${Token[OidcProvider.Ref.1]}"
ISSUER = "${Token[OidcProvider.Issuer.2]}"
PARTITION = "${Token[AWS.Partition.3]}"


def substituted(value, values):
    """What CloudFormation makes of `Fn::Sub`, for known values of the tokens."""
    template, variables = value["Fn::Sub"]
    return re.sub(r"\$\{([^}]*)\}", lambda match: values[variables[match[1]]], template)


def test_a_document_without_deploy_time_keys_stays_a_plain_object():
    document = trust_policy(
        provider_arn=PROVIDER, issuer="oidc.example.com", service_accounts=["apps/api"]
    )
    assert trust_document(document) == document


def test_deploy_time_keys_give_the_same_document_in_fn_sub():
    document = trust_policy(provider_arn=PROVIDER, issuer=ISSUER, service_accounts=["apps/api"])
    arn, issuer = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com", "oidc.example.com"
    text = substituted(trust_document(document), {PROVIDER: arn, ISSUER: issuer})
    assert json.loads(text) == trust_policy(
        provider_arn=arn, issuer=issuer, service_accounts=["apps/api"]
    )


def test_variables_are_called_as_asked():
    document = trust_policy(provider_arn=PROVIDER, issuer=ISSUER, service_accounts=["apps/api"])
    template, variables = trust_document(document, {PROVIDER: "Provider", ISSUER: "Issuer"})[
        "Fn::Sub"
    ]
    assert variables == {"Provider": PROVIDER, "Issuer": ISSUER}
    assert '"${Issuer}:sub":"system:serviceaccount:apps:api"' in template


def test_variables_without_names_are_numbered_in_their_order():
    document = {"a": PROVIDER, f"{ISSUER}:aud": "x"}
    assert trust_document(document)["Fn::Sub"][1] == {"Value1": PROVIDER, "Value2": ISSUER}


def test_a_token_used_often_is_one_variable():
    document = trust_policy(provider_arn=PROVIDER, issuer=ISSUER, service_accounts=["apps/api"])
    assert len(trust_document(document)["Fn::Sub"][1]) == 2


def test_text_is_compact():
    document = trust_policy(provider_arn=PROVIDER, issuer=ISSUER, service_accounts=["apps/api"])
    assert ": " not in trust_document(document)["Fn::Sub"][0]


def test_text_that_looks_like_a_variable_stays_text():
    document = {f"{ISSUER}:sub": "${aws:username}"}
    value = trust_document(document)
    assert "${aws" not in value["Fn::Sub"][0]
    assert json.loads(substituted(value, {ISSUER: "i"})) == {"i:sub": "${aws:username}"}


@settings(max_examples=200)
@given(texts=st.lists(st.text('${}!"\\ab:é\n', max_size=8), min_size=1, max_size=4))
def test_any_text_survives_the_way_through_fn_sub(texts):
    document = {f"{ISSUER}:sub": texts, "provider": PROVIDER, "nested": [{ISSUER: texts[0]}]}
    value = trust_document(document)
    assert json.loads(substituted(value, {ISSUER: "i.example", PROVIDER: "arn"})) == {
        "i.example:sub": texts,
        "provider": "arn",
        "nested": [{"i.example": texts[0]}],
    }


@pytest.mark.parametrize("document", [{"a": 1}, {"a": [1, {"b": None}]}, {"a": PROVIDER}])
def test_tokens_in_values_only_need_no_string(document):
    assert trust_document(document) == document


def test_a_token_key_deep_inside_is_found():
    assert "Fn::Sub" in trust_document({"a": [{"b": {f"{ISSUER}:sub": "x"}}]})
