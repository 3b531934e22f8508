import pytest

from irsa_stack.eks import kubernetes_version
from irsa_stack.environment.environment_file import environment
from irsa_stack.faults import InvalidInput
from irsa_stack.iam.thumbprints import Thumbprints
from tests.support.environment_files import ABSENT, EXISTING, NEW, changed

THUMBPRINT = "06b25927c42a721631c1efd9431e648fa62e1e39"


@pytest.fixture(autouse=True)
def _two_kubectl_packages(monkeypatch):
    monkeypatch.setattr(kubernetes_version, "_is_installed", lambda minor: minor in (29, 36))


@pytest.fixture
def load():
    return environment


@pytest.fixture
def faults_of(load):
    def faults(document):
        with pytest.raises(InvalidInput) as caught:
            load(document)
        return caught.value.faults

    return faults


@pytest.mark.parametrize("base", [NEW, EXISTING], ids=["new", "existing"])
def test_a_short_environment_is_enough(load, base):
    assert load(base).cluster_name == f"{base['service_type']}-test"


IRELAND = {"account": "111122223333", "region": "eu-west-1"}
CHINA = {"account": "111122223333", "region": "cn-north-1"}

# What is wrong, where, and what to do about it.
BAD = {
    "unknown key": (NEW, {"regoin": "eu-west-1"}, "regoin", "did you mean 'region'?"),
    "unknown key deep inside": (NEW, {"nodes.0.size": 3}, "nodes[0].size", ";"),
    "unknown key of a controller": (
        NEW, {"controllers.external_dns": {"hosted_zones": ["Z01"], "hosted_zone": "Z01"}},
        "controllers.external_dns.hosted_zone", "did you mean 'hosted_zones'?",
    ),
    "missing key": (NEW, {"service_type": ABSENT}, "service_type", "add it"),
    "missing cluster": (NEW, {"cluster": ABSENT}, "cluster", "add it"),
    "wrong type: number": (NEW, {"environment": 1}, "environment", "put it in quotes"),
    "wrong type: text": (NEW, {"nodes.0.min_size": "1"}, "nodes[0].min_size", "without quotes"),
    "wrong type: list": (NEW, {"nodes": "general"}, "nodes", "write [one, two]"),
    "wrong type: map": (NEW, {"cluster": "new"}, "cluster", "write `key: value` below it"),
    "wrong type: truth": (
        NEW, {"cluster.new.endpoint.public": "yes"}, "cluster.new.endpoint.public", "true or false",
    ),
    "account number without quotes": (
        NEW, {"account": 111122223333, "region": "eu-west-1"}, "account", "put it in quotes",
    ),
    "version without quotes": (
        NEW, {"cluster.new.version": 1.36}, "cluster.new.version", "put it in quotes",
    ),
    "version that EKS no longer creates": (
        NEW, {"cluster.new.version": "1.29"}, "cluster.new.version", "import the cluster",
    ),
    "layer that is not installed": (
        NEW, {"cluster.new.version": "1.33"}, "cluster.new.version",
        "pip install aws-cdk.lambda-layer-kubectl-v33",
    ),
    "version that is none": (
        EXISTING, {"cluster.existing.version": "v1.29"}, "cluster.existing.version",
        "such as '1.36'",
    ),
    "wildcard namespace": (
        NEW, {"service_accounts.0.namespace": "team-*"}, "service_accounts[0].namespace",
        "list the namespaces",
    ),
    "wildcard name": (
        NEW, {"service_accounts.0.name": "*"}, "service_accounts[0].name", "list the accounts",
    ),
    "illegal namespace": (
        NEW, {"service_accounts.0.namespace": "Apps"}, "service_accounts[0].namespace",
        "try 'apps'",
    ),
    "same account twice": (
        NEW, {"service_accounts.1": {"namespace": "apps", "name": "api"}}, "service_accounts",
        "remove one",
    ),
    "default account": (
        NEW, {"service_accounts.0.name": "default"}, "service_accounts[0]",
        "set allow_default_service_account",
    ),
    "over-long role name": (
        NEW, {"service_accounts.0.role_name": "r" * 65}, "service_accounts[0].role_name",
        "shorten it",
    ),
    "six thumbprints": (
        NEW,
        {"oidc": {"thumbprints": "exact", "values": [f"{number:040x}" for number in range(6)]}},
        "oidc", "drop the oldest",
    ),
    "five thumbprints beside the computed one": (
        NEW, {"oidc.values": [f"{number:040x}" for number in range(5)]}, "oidc", "drop the oldest",
    ),
    "no thumbprint at all": (NEW, {"oidc.thumbprints": "exact"}, "oidc", "chosen_by_iam"),
    "thumbprint with colons": (
        NEW, {"oidc.values": [":".join([THUMBPRINT[:2]] * 20)]}, "oidc", "try '0606",
    ),
    "thumbprints for IAM's choice": (
        NEW, {"oidc": {"thumbprints": "chosen-by-iam", "values": [THUMBPRINT]}}, "oidc",
        "use exact",
    ),
    "unknown way to thumbprints": (
        NEW, {"oidc.thumbprints": "none"}, "oidc.thumbprints", "choose one",
    ),
    "malformed policy ARN": (
        NEW, {"service_accounts.0.managed_policies": ["AmazonS3ReadOnlyAccess"]},
        "service_accounts[0].managed_policies[0]", "copy it from IAM",
    ),
    "role:NAME": (
        NEW, {"service_accounts.0.role_arn": "arn:aws:iam::111122223333:role:api"},
        "service_accounts[0].role_arn", "replace the last colon by a slash",
    ),
    "boundary that is a role": (
        NEW, {"permissions_boundary": "arn:aws:iam::111122223333:role/boundary"},
        "permissions_boundary", "such as arn:aws:iam::ACCOUNT:policy/NAME",
    ),
    "CIDR that does not parse": (
        NEW, {"cluster.new.vpc.cidr": "10.0.0.0/33"}, "cluster.new.vpc.cidr", "10.0.0.0/16",
    ),
    "CIDR with host bits": (
        NEW, {"cluster.new.vpc.cidr": "10.0.0.1/16"}, "cluster.new.vpc.cidr", "host bits",
    ),
    "VPC too small": (
        NEW, {"cluster.new.vpc.cidr": "10.0.0.0/25"}, "cluster.new.vpc.cidr", "no addresses",
    ),
    "public CIDR that does not parse": (
        NEW, {"cluster.new.endpoint.public_cidrs": ["office"]},
        "cluster.new.endpoint.public_cidrs[0]", "10.0.0.0/16",
    ),
    "endpoint that nobody reaches": (
        NEW, {"cluster.new.endpoint": {"private": False, "public": False}}, "cluster.new.endpoint",
        "set private: true",
    ),
    "public CIDRs without a public endpoint": (
        NEW, {"cluster.new.endpoint": {"public": False, "public_cidrs": ["10.0.0.0/16"]}},
        "cluster.new.endpoint", "remove them",
    ),
    "public CIDRs without a private endpoint": (
        NEW, {"cluster.new.endpoint": {"private": False, "public_cidrs": ["10.0.0.0/16"]}},
        "cluster.new.endpoint", "public_cidrs must go with private: true",
    ),
    "neither new nor existing": (NEW, {"cluster": {}}, "cluster", "give one"),
    "both new and existing": (
        NEW, {"cluster.existing": EXISTING["cluster"]["existing"]}, "cluster", "give one",
    ),
    "neither CIDR nor VPC": (NEW, {"cluster.new.vpc": {}}, "cluster.new.vpc", "give one"),
    "subnets of a VPC to make": (
        NEW, {"cluster.new.vpc.private_subnets": ["subnet-0a1b2c3d"]}, "cluster.new.vpc",
        "remove it",
    ),
    "one zone of a VPC to make": (
        NEW, {"cluster.new.vpc.zones": ["eu-west-1a"]}, "cluster.new.vpc", "2 to 6 different ones",
    ),
    "zones and their number": (
        NEW,
        {"cluster.new.vpc": {
            "cidr": "10.0.0.0/16", "availability_zones": 2, "zones": ["eu-west-1a", "eu-west-1b"],
        }},
        "cluster.new.vpc", "remove that one",
    ),
    "gateways of an existing VPC": (
        NEW,
        {"cluster.new.vpc": {
            "id": "vpc-0123456789abcdef0", "nat_gateways": 3, "zones": ["eu-west-1a", "eu-west-1b"],
            "private_subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        }},
        "cluster.new.vpc", "remove it",
    ),
    "existing VPC without subnets": (
        NEW, {"cluster.new.vpc": {"id": "vpc-0123456789abcdef0"}}, "cluster.new.vpc",
        "list one subnet a zone",
    ),
    "service type that makes too long a name": (
        NEW, {"service_type": "p" * 50}, "service_type", "part of the cluster's name",
    ),
    "VPC id of ten digits": (
        EXISTING, {"cluster.existing.vpc_id": "vpc-0123456789"}, "cluster.existing.vpc_id",
        "what `aws eks describe-cluster` prints",
    ),
    "cluster's name with a dot": (
        EXISTING, {"cluster.existing.name": "orders.test"}, "cluster.existing.name",
        "the name that `aws eks list-clusters` prints",
    ),
    "one availability zone": (
        NEW, {"cluster.new.vpc.availability_zones": 1}, "cluster.new.vpc.availability_zones",
        "at least 2",
    ),
    "unknown log type": (
        NEW, {"cluster.new.log_types": ["apiserver"]}, "cluster.new.log_types[0]", "choose one",
    ),
    "no nodes": (NEW, {"nodes": []}, "nodes", "add one"),
    "sizes out of order": (
        NEW, {"nodes.0.min_size": 5}, "nodes[0]", "min_size <= desired_size <= max_size",
    ),
    "two groups of one name": (
        NEW, {"nodes.1": {"name": "general", "instance_types": ["m7i.large"]}}, "nodes",
        "rename one",
    ),
    "AL2 image": (NEW, {"nodes.0.ami_family": "AL2"}, "nodes[0].ami_family", "choose one"),
    "no instance type": (
        NEW, {"nodes.0.instance_types": []}, "nodes[0].instance_types", "add an item",
    ),
    "kept CNI on a new cluster": (NEW, {"vpc_cni": "keep"}, "vpc_cni", "rebind or addon"),
    "add-on of an existing cluster": (
        EXISTING, {"vpc_cni": "addon"}, "vpc_cni", "with the tool that manages it",
    ),
    "node roles with a kept CNI": (
        EXISTING, {"cluster.existing.node_roles": ["nodes"], "vpc_cni": "keep"},
        "cluster.existing.node_roles", "write vpc_cni: rebind, or remove them",
    ),
    "node roles with a CNI kept by default": (
        EXISTING, {"cluster.existing.node_roles": ["nodes"]},
        "cluster.existing.node_roles", "write vpc_cni: rebind, or remove them",
    ),
    "node role with a path but no ARN": (
        EXISTING, {"cluster.existing.node_roles": ["/eks/nodes"], "vpc_cni": "rebind"},
        "cluster.existing.node_roles[0]", "copy the ARN from IAM",
    ),
    "node role that is a policy": (
        EXISTING,
        {"cluster.existing.node_roles": ["arn:aws:iam::111122223333:policy/nodes"],
         "vpc_cni": "rebind"},
        "cluster.existing.node_roles[0]", "such as arn:aws:iam::ACCOUNT:role/NAME",
    ),
    "metadata guard of an existing cluster": (
        EXISTING, {"metadata_guard": {"hop_limit": 1}}, "metadata_guard", "close metadata there",
    ),
    "thumbprints of an imported provider": (
        EXISTING, {"oidc": {"thumbprints": "computed"}}, "oidc", "or remove oidc",
    ),
    "aws-node twice": (
        NEW, {"service_accounts.0": {"namespace": "kube-system", "name": "aws-node"}},
        "service_accounts", "vpc_cni binds it",
    ),
    "hop limit 0": (
        NEW, {"metadata_guard.hop_limit": 0}, "metadata_guard.hop_limit", "at least 1",
    ),
    "account without region": (NEW, {"account": "111122223333"}, "account", "or neither"),
    "51 tags": (
        NEW, {"tags": {f"key{number}": "x" for number in range(49)}}, "tags", "remove some",
    ),
    "tag key of AWS": (NEW, {"tags": {"aws:x": "y"}}, "tags", "not starting with aws:"),
    "path without slashes": (NEW, {"role_path": "payments"}, "role_path", "try '/payments/'"),
    "token life too short": (
        NEW, {"service_accounts.0.token_expiration": 60}, "service_accounts[0].token_expiration",
        "600-86400",
    ),
    "restart of a chart's account": (
        NEW,
        {"service_accounts.0.ownership": "HELM", "service_accounts.0.restart": ["deployment/a"]},
        "service_accounts[0]", "the chart restarts its own",
    ),
    "force of an account of ours": (
        NEW, {"service_accounts.0.force": True}, "service_accounts[0]", "remove it",
    ),
    "force of a controller's account of ours": (
        NEW, {"controllers.cluster_autoscaler": {"force": True}},
        "controllers.cluster_autoscaler", "remove it",
    ),
    "action that is none": (
        NEW,
        {"service_accounts.0.statements": [{"actions": ["GetObject"], "resources": ["*"]}]},
        "service_accounts[0].statements[0].actions[0]", "s3:GetObject",
    ),
    "issuer with a port": (
        EXISTING, {"cluster.existing.issuer_url": "https://oidc.example.com:8443/id/1"},
        "cluster.existing.issuer_url", "443 only",
    ),
    "issuer without https": (
        EXISTING, {"cluster.existing.issuer_url": "http://oidc.example.com/id/1"},
        "cluster.existing.issuer_url", "OpenID Connect provider URL",
    ),
    "half a network": (
        EXISTING, {"cluster.existing.private_subnets": ["subnet-0123456789abcdef0"]},
        "cluster.existing", "give all four",
    ),
    "nodes of an existing cluster": (
        EXISTING, {"nodes": NEW["nodes"]}, "nodes", "its own tool makes them",
    ),
    "load balancers without a VPC": (
        EXISTING, {"controllers.aws_load_balancer_controller": {}},
        "cluster.existing.vpc_id", "scoped to it",
    ),
    "F27: types of another architecture": (
        NEW, {"nodes.0.instance_types": ["m7g.large"]}, "nodes[0]", "write architecture: arm64",
    ),
    "F27: types of two architectures": (
        NEW, {"nodes.0.instance_types": ["t4g.medium", "m5.large"]}, "nodes[0]",
        "put them into a group of their own",
    ),
    "F23: Bottlerocket and a long name": (
        NEW,
        {"nodes.0.ami_family": "BOTTLEROCKET", "service_type": "p" * 40, "environment": "e" * 30},
        "service_type", "shorten one",
    ),
    "label of Kubernetes": (
        NEW, {"nodes.0.labels": {"node-role.kubernetes.io/web": ""}}, "nodes[0].labels",
        "choose a prefix of yours",
    ),
    "label that is too long": (
        NEW, {"nodes.0.labels": {"team": "x" * 64}}, "nodes[0].labels", "shorten or quote it",
    ),
    "taint with another effect": (
        NEW, {"nodes.0.taints": [{"key": "gpu", "effect": "NoSchedule"}]},
        "nodes[0].taints[0].effect", "choose one",
    ),
    "taint with a wrong key": (
        NEW, {"nodes.0.taints": [{"key": "a b"}]}, "nodes[0].taints[0].key", "example.com/name",
    ),
    "disk that is too small": (NEW, {"nodes.0.disk_size": 8}, "nodes[0].disk_size", "raise it"),
    "nodes in zones that nobody named": (
        NEW, {"nodes.0.zones": ["eu-west-1a"]}, "nodes[0].zones", "write cluster.new.vpc.zones",
    ),
    "nodes in subnets of another VPC": (
        NEW, {"nodes.0.subnets": ["subnet-0a1b2c3d"]}, "nodes[0].subnets", "choose of none",
    ),
    "F26: 21 managed policies": (
        NEW,
        {"service_accounts.0.managed_policies": [
            f"arn:aws:iam::111122223333:policy/p{number}" for number in range(21)
        ]},
        "service_accounts[0].managed_policies", "join some into one",
    ),
    "F34: a tag that IAM refuses": (
        NEW, {"tags": {"Team": "Orders (EU)"}}, "tags", "leave the others out",
    ),
    "F34: more tags than the roles can have": (
        NEW, {"tags": {f"key{number}": "x" for number in range(47)}},
        "tags of service_accounts[0]", "remove some",
    ),
    "F36: an administrator twice": (
        NEW, {"cluster.new.administrators": ["arn:aws:iam::111122223333:role/a"] * 2},
        "cluster.new.administrators", "remove one",
    ),
    "F22: one role name twice, letter case aside": (
        NEW,
        {"service_accounts": [
            {"namespace": "shop", "name": "api", "role_name": "Reader"},
            {"namespace": "shop", "name": "worker", "role_name": "reader"},
        ]},
        "service_accounts", "IAM does not tell A from a",
    ),
    "F11: a policy of another partition": (
        NEW,
        {**CHINA, "service_accounts.0.managed_policies": ["arn:aws:iam::aws:policy/Billing"]},
        "service_accounts[0].managed_policies[0]", "write arn:aws-cn:...",
    ),
    "F11: a boundary of another AWS account": (
        NEW, {**IRELAND, "permissions_boundary": "arn:aws:iam::999999999999:policy/boundary"},
        "permissions_boundary", "name one of that account",
    ),
    "F11: a log key of another region": (
        NEW, {**IRELAND, "log_encryption_key": "arn:aws:kms:us-east-1:111122223333:key/0123"},
        "log_encryption_key", "name one of that region",
    ),
    "F11: a resource of another partition": (
        NEW,
        {**IRELAND, "service_accounts.0.statements": [
            {"actions": ["s3:GetObject"], "resources": ["arn:aws-cn:s3:::receipts/a"]}
        ]},
        "service_accounts[0].statements[0].resources[0]", "write arn:aws:...",
    ),
    "zones of another region": (
        NEW, {**IRELAND, "cluster.new.vpc.zones": ["eu-central-1a", "eu-west-1b"]},
        "cluster.new.vpc.zones", "or the region",
    ),
    "F6: an endpoint of another region": (
        EXISTING,
        {**IRELAND, "cluster.existing.endpoint":
         "https://0123456789ABCDEF.gr7.us-east-1.eks.amazonaws.com"},
        "cluster.existing.endpoint", "deploy to us-east-1",
    ),
    "F6: an issuer of another cluster": (
        EXISTING,
        {"cluster.existing.endpoint": "https://AAAA456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com"},
        "cluster.existing.endpoint", "from one `aws eks describe-cluster`",
    ),
    "F4: an issuer without its id": (
        EXISTING, {"cluster.existing.issuer_url": "https://oidc.eks.eu-west-1.amazonaws.com"},
        "cluster.existing.issuer_url", "ends in /id/",
    ),
    "a misspelt action": (
        NEW,
        {"service_accounts.0.statements": [
            {"actions": ["s3:GetObjct"], "resources": ["arn:aws:s3:::receipts/a"]}
        ]},
        "service_accounts[0].statements[0].actions[0]", "did you mean 's3:GetObject'?",
    ),
    "a misspelt condition key": (
        NEW,
        {"service_accounts.0.statements": [
            {"actions": ["kms:Decrypt"], "resources": ["*"],
             "conditions": {"StringEquals": {"kms:ViaServce": "x"}}}
        ]},
        "service_accounts[0].statements[0]", "did you mean 'kms:ViaService'?",
    ),
    "a role handed in, with options of a role": (
        NEW,
        {"service_accounts.0.role_arn": "arn:aws:iam::111122223333:role/api",
         "service_accounts.0.description": "Reads"},
        "service_accounts[0]", "where the role is defined",
    ),
    "annotations that are ours": (
        NEW, {"service_accounts.0.annotations": {"eks.amazonaws.com/role-arn": "x"}},
        "service_accounts[0]", "it is ours",
    ),
    "a session of a minute": (
        NEW, {"service_accounts.0.max_session_duration": 60},
        "service_accounts[0].max_session_duration", "IAM allows no other",
    ),
    "a trust without a namespace": (
        NEW,
        {"service_accounts.0.trusts": [
            {"issuer_url": "https://example.com/id/A", "service_accounts": ["api"]}
        ]},
        "service_accounts[0].trusts[0].service_accounts[0]", "add its namespace",
    ),
    "log retention that CloudWatch has not": (
        NEW, {"log_retention_days": 31}, "log_retention_days", "choose one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_reports_a_fault_with_its_place_and_its_fix(faults_of, case):
    base, changes, place, fix = BAD[case]
    [fault] = faults_of(changed(base, changes))
    assert fault.startswith((f"{place}: ", f"(whole file): {place} ")), fault
    assert fix in fault
    assert "; " in fault, "a fault names its fix after a semicolon"


def test_the_table_of_faults_is_long_enough():
    assert len(BAD) >= 30


def test_faults_between_parts_are_reported_together(faults_of):
    changes = {"vpc_cni": "keep", "nodes": [], "account": "111122223333"}
    assert len(faults_of(changed(NEW, changes))) == 3


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----"
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----"


@pytest.fixture
def ca_bundle(load, tmp_path):
    def read(content):
        if content is not None:
            (tmp_path / "ca.pem").write_bytes(content.encode("latin-1"))
        return load(changed(NEW, {"oidc.ca_bundle_file": "ca.pem"})).oidc.ca_bundle(tmp_path)

    return read


NO_CA_BUNDLES = {
    "no file": (None, "must be a PEM file beside the environment file, got 'ca.pem'"),
    "no text": ("\xff\xfe", "it is no text"),
    "a server's key and certificate": (
        f"{PRIVATE_KEY}\n{CERTIFICATE}", "certificates only, got a private key"
    ),
    "an old key": (f"{CERTIFICATE}\n-----BEGIN RSA PRIVATE KEY-----\nSECRET", "got a private key"),
    "credentials": ("[default]\naws_secret_access_key=SECRET", "got none in 'ca.pem'"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "rule"), NO_CA_BUNDLES.values(), ids=NO_CA_BUNDLES)
def test_refuses_a_ca_bundle_without_telling_what_is_in_it(ca_bundle, content, rule):
    """security-review.md 10: a private key went into the template."""
    with pytest.raises(InvalidInput) as caught:
        ca_bundle(content)
    assert str(caught.value).startswith("oidc.ca_bundle_file must")
    assert rule in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_only_the_certificates_of_a_ca_bundle_are_passed_on(ca_bundle):
    content = f"# Our CA, café\n{CERTIFICATE}\npassword: x\n{CERTIFICATE}\n"
    assert ca_bundle(content.replace("é", "e")) == f"{CERTIFICATE}\n{CERTIFICATE}\n"


@pytest.mark.parametrize(
    ("oidc", "thumbprints"),
    [
        ({}, Thumbprints.computed()),
        ({"values": [THUMBPRINT]}, Thumbprints.computed(additional=[THUMBPRINT])),
        ({"thumbprints": "exact", "values": [THUMBPRINT]}, Thumbprints.exact([THUMBPRINT])),
        ({"thumbprints": "chosen-by-iam"}, Thumbprints.chosen_by_iam()),
    ],
)
def test_offers_the_three_ways_to_thumbprints(load, oidc, thumbprints):
    assert load(changed(NEW, {"oidc": oidc})).oidc.source == thumbprints


def test_the_cluster_is_called_by_service_type_and_environment(load):
    assert load(NEW).cluster_name == "payments-test"


def test_an_existing_cluster_keeps_its_name(load):
    assert load(changed(EXISTING, {"cluster.existing.name": "legacy"})).cluster_name == "legacy"


def test_aws_node_of_a_new_cluster_is_rebound_by_default(load):
    assert load(NEW).vpc_cni_mode == "rebind"


def test_aws_node_of_an_existing_cluster_is_left_alone_by_default(load):
    assert load(EXISTING).vpc_cni_mode == "keep"


@pytest.mark.parametrize(
    ("base", "mode"), [(NEW, "rebind"), (NEW, "addon"), (EXISTING, "rebind"), (EXISTING, "keep")]
)
def test_the_file_may_choose_how_aws_node_gets_its_role(load, base, mode):
    assert load(changed(base, {"vpc_cni": mode})).vpc_cni_mode == mode


def test_the_thumbprints_of_a_provider_to_make_may_be_chosen(load):
    changes = {"cluster.existing.create_oidc_provider": True, "oidc.values": [THUMBPRINT]}
    assert load(changed(EXISTING, changes)).oidc.values == [THUMBPRINT]


def test_the_default_version_is_the_newest(load):
    assert load(changed(NEW, {"cluster.new.version": ABSENT})).cluster.new.version == "1.36"


def test_settings_cannot_be_changed_once_checked(load):
    with pytest.raises(ValueError, match="frozen"):
        load(NEW).region = "eu-west-1"
