import pytest

from irsa_stack.controllers import ExternalDns
from irsa_stack.controllers.external_dns import zone_id
from irsa_stack.faults import InvalidInput
from tests.support.controllers import CLUSTER, LOCATIONS
from tests.support.iam_evaluator import Resource, allowed

OURS = "Z0123456789ABCDEFGHIJ"
THEIRS = "Z9999999999ABCDEFGHIJ"
ROLE = "arn:aws:iam::444455556666:role/external-dns"
TOKEN = "${Token[Zone.12]}"

CHANGE = "route53:ChangeResourceRecordSets"
NAMES = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
TYPES = "route53:ChangeResourceRecordSetsRecordTypes"


def zone(identifier):
    return f"arn:aws:route53:::hostedzone/{identifier}"


def change(identifier, *names, types=("A",)):
    return Resource(zone(identifier), {NAMES: list(names), TYPES: list(types)})


SPECS = {
    "zones": ExternalDns(hosted_zones=[OURS]),
    "names, types and another account": lambda location: ExternalDns(
        hosted_zones=[OURS],
        record_names=["*.apps.example.com", "api.example.com"],
        record_types=["A", "CNAME"],
        assume_roles=[f"arn:{location.partition}:iam::444455556666:role/external-dns"],
    ),
}


def documents(partition="aws", **options):
    spec = ExternalDns(**{"hosted_zones": [OURS], **options})
    return spec.documents(CLUSTER, LOCATIONS[partition]).values()


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        (CHANGE, change(OURS, "api.example.com"), True),
        (CHANGE, change(OURS, "a-api.example.com", types=["TXT"]), True),
        ("route53:ListResourceRecordSets", zone(OURS), True),
        ("route53:ListTagsForResources", zone(OURS), True),
        ("route53:ListHostedZones", "*", True),
        (CHANGE, change(THEIRS, "api.example.com"), False),
        ("route53:ListResourceRecordSets", zone(THEIRS), False),
        ("route53:ListTagsForResources", zone(THEIRS), False),
        ("route53:ListTagsForResources", "arn:aws:route53:::healthcheck/0", False),
        ("route53:CreateHostedZone", "*", False),
        ("route53:DeleteHostedZone", zone(OURS), False),
        ("route53:AssociateVPCWithHostedZone", zone(OURS), False),
        ("route53:ChangeTagsForResource", zone(OURS), False),
        ("route53domains:TransferDomain", "*", False),
        ("sts:AssumeRole", ROLE, False),
        (CHANGE, change(OURS[:-1] + "*", "api.example.com"), False),
    ],
)
def test_reaches_the_records_of_its_zones_and_no_other(action, resource, expected):
    assert allowed(documents(), action, resource) is expected


@pytest.mark.parametrize(
    ("names", "types", "expected"),
    [
        (["api.example.com"], ["A"], True),
        (["api.example.com"], ["AAAA"], True),
        # The registry says in TXT records whose a record is.
        (["api.example.com", "a-api.example.com"], ["A", "TXT"], True),
        (["cname-api.example.com"], ["TXT"], True),
        (["web.apps.example.com"], ["A"], True),
        (["a-web.apps.example.com"], ["TXT"], True),
        # Route 53 writes the asterisk of a wildcard record as an octal code.
        ([r"\052.apps.example.com"], ["A"], True),
        (["www.example.com"], ["A"], False),
        (["example.com"], ["A"], False),
        (["api.example.com", "www.example.com"], ["A", "A"], False),
        (["api.example.com"], ["MX"], False),
        (["api.example.com"], ["NS"], False),
        (["api.example.com.evil.com"], ["A"], False),
        (["ns-api.example.com"], ["TXT"], False),
    ],
)
def test_changes_only_the_names_and_types_that_it_is_held_to(names, types, expected):
    held = documents(
        record_names=["api.example.com", "*.apps.example.com"], record_types=["A", "AAAA"]
    )
    assert allowed(held, CHANGE, change(OURS, *names, types=types)) is expected


@pytest.mark.parametrize("scope", [{"record_names": ["api.example.com"]}, {"record_types": ["A"]}])
def test_a_request_without_the_condition_keys_is_denied(scope):
    assert not allowed(documents(**scope), CHANGE, zone(OURS))


@pytest.mark.parametrize(
    ("txt_prefix", "txt_name"),
    [
        ("", "a-api.example.com"),
        ("txt-", "txt-a-api.example.com"),
        ("%{record_type}-owner.", "a-owner.api.example.com"),
    ],
)
def test_allows_the_registry_its_records_under_the_controllers_prefix(txt_prefix, txt_name):
    held = documents(record_names=["api.example.com"], txt_prefix=txt_prefix)
    assert allowed(held, CHANGE, change(OURS, txt_name, types=["TXT"]))


def test_reads_a_zone_whatever_its_records_are_called():
    held = documents(record_names=["api.example.com"], record_types=["A"])
    assert allowed(held, "route53:ListResourceRecordSets", zone(OURS))


def test_reaches_zones_of_other_accounts_through_their_roles_only():
    held = documents(hosted_zones=[], assume_roles=[ROLE])
    assert allowed(held, "sts:AssumeRole", ROLE)
    assert not allowed(held, "sts:AssumeRole", ROLE + "-admin")
    assert not allowed(held, CHANGE, change(OURS, "api.example.com"))


@pytest.mark.parametrize(
    "given", [OURS, f"/hostedzone/{OURS}", f"arn:aws:route53:::hostedzone/{OURS}"]
)
def test_takes_a_zone_as_id_path_or_arn(given):
    (document,) = documents(hosted_zones=[given])
    assert document["Statement"][0]["Resource"] == [f"arn:aws:route53:::hostedzone/{OURS}"]


def test_takes_a_zone_that_is_known_at_deploy_only():
    (document,) = documents(hosted_zones=[TOKEN])
    assert document["Statement"][0]["Resource"] == [f"arn:aws:route53:::hostedzone/{TOKEN}"]
    assert zone_id(TOKEN) == TOKEN


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_names_zones_in_its_own_partition(partition):
    (document,) = documents(partition=partition)
    assert document["Statement"][0]["Resource"] == [f"arn:{partition}:route53:::hostedzone/{OURS}"]


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({"hosted_zones": []}, "hosted_zones must name at least one zone, got []"),
        ({"hosted_zones": ["*"]}, "hosted_zones must be such as .* got '[*]'"),
        ({"hosted_zones": [""]}, "hosted_zones must be such as .* got ''"),
        ({"hosted_zones": ["example.com"]}, "hosted_zones must be such as .* got 'example.com'"),
        ({"hosted_zones": OURS}, "hosted_zones must be a list"),
        ({"hosted_zones": [OURS + "\n"]}, "hosted_zones must be such as"),
        ({"hosted_zones": [f"arn:aws-cn:route53:::hostedzone/{OURS}"]}, "in partition aws, got"),
        ({"record_names": ["*"]}, "record_names must be literal names .* got '[*]'"),
        ({"record_names": ["API.example.com"]}, "record_names must be literal names in lower case"),
        ({"record_names": ["api.example.com."]}, "without a final dot"),
        ({"record_names": "api.example.com"}, "record_names must be a list"),
        ({"record_names": [TOKEN]}, "record_names must be literal names"),
        ({"record_types": ["a"]}, "record_types must be of A, AAAA, .* got 'a'"),
        ({"record_types": ["SOA"]}, "external-dns writes no other"),
        ({"record_types": "A"}, "record_types must be a list"),
        ({"assume_roles": ["external-dns"]}, "assume_roles must be such as"),
        ({"assume_roles": ROLE}, "assume_roles must be a list"),
        ({"assume_roles": [ROLE.replace("aws", "aws-cn")]}, "assume_roles must be in partition"),
        (
            {"hosted_zones": [], "assume_roles": [ROLE], "record_types": ["A"]},
            "must go with hosted_zones",
        ),
    ],
)
def test_refuses_a_scope_that_is_none(properties, fault):
    with pytest.raises(InvalidInput, match=fault.replace("[]", r"\[\]")):
        documents(**properties)


def test_reports_all_faults_at_once():
    with pytest.raises(InvalidInput) as refused:
        documents(hosted_zones=["*"], record_names=["*"], record_types=["SOA"])
    assert len(refused.value.faults) == 3


# What upstream's policy names, and what of it is left out or added here, each with its reason.
UPSTREAM = """
    route53:ChangeResourceRecordSets route53:ListResourceRecordSets route53:ListTagsForResources
    route53:ListHostedZones
"""
LEFT_OUT = {}
ADDED = {"sts:AssumeRole": "--aws-assume-role, for zones of other accounts"}
