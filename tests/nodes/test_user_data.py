import email
import tomllib

import pytest
import yaml

from irsa_stack.faults import InvalidInput
from irsa_stack.nodes.user_data import (
    NODE_CONFIG,
    USER_DATA_BYTES,
    AmiFamily,
    PacketFilter,
    UserDataPart,
    bottlerocket_settings,
    cluster_settings,
    nftables_table,
    node_config,
    node_user_data,
    packet_filter_script,
    shell_script,
)

AL2023, BOTTLEROCKET = AmiFamily.AL2023, AmiFamily.BOTTLEROCKET
HELLO = shell_script("#!/bin/bash\necho hello\n")
CLUSTER = {
    "cluster_name": "dev",
    "endpoint": "https://ABC.gr7.eu-west-1.eks.amazonaws.com",
    "certificate_authority_data": "LS0t",
    "service_cidr": "172.20.0.0/16",
}


def parts_of(user_data: str) -> list[tuple[str, str]]:
    """Read MIME parts as cloud-init does: content type, text."""
    message = email.message_from_string(user_data)
    assert message.get_content_type() == "multipart/mixed"
    assert not message.defects
    return [(part.get_content_type(), part.get_payload()) for part in message.get_payload()]


@pytest.mark.parametrize("family", AmiFamily)
def test_says_nothing_when_there_is_nothing_to_say(family):
    assert node_user_data(family) is None


def test_al2023_gets_mime_parts_with_the_packet_filter_first():
    user_data = node_user_data(
        AL2023, PacketFilter.NFTABLES, [HELLO, cluster_settings(AL2023, **CLUSTER)]
    )
    assert [kind for kind, _ in parts_of(user_data)] == [
        "text/x-shellscript",
        "text/x-shellscript",
        "application/node.eks.aws",
    ]


@pytest.mark.parametrize("part", [HELLO, cluster_settings(AL2023, **CLUSTER)])
def test_a_part_arrives_as_it_was_given(part):
    assert parts_of(node_user_data(AL2023, parts=[part]))[0][1] == part.body


def test_starts_with_the_line_that_karpenter_looks_for():
    assert node_user_data(AL2023, parts=[HELLO]).startswith("MIME-Version: 1.0\n")


def test_with_nftables_it_takes_less_than_a_sixteenth_of_what_ec2_allows():
    size = len(node_user_data(AL2023, PacketFilter.NFTABLES).encode())
    assert size < USER_DATA_BYTES / 16


def test_the_table_names_both_metadata_addresses_and_not_pod_identitys():
    table = nftables_table()
    assert [line.strip() for line in table.splitlines() if "daddr" in line] == [
        "ip daddr 169.254.169.254 jump refuse",
        "ip6 daddr fd00:ec2::254 jump refuse",
    ]


def test_the_articles_lines_are_as_it_prints_them():
    assert packet_filter_script(PacketFilter.ARTICLE_IPTABLES).body.splitlines()[1:] == [
        "yum install -y iptables-services",
        "iptables --insert FORWARD 1 --in-interface eni+ --destination 169.254.169.254/32"
        " --jump DROP",
        "iptables-save | tee /etc/sysconfig/iptables",
        "systemctl enable --now iptables",
    ]


def test_al2023_nodes_join_their_cluster():
    part = cluster_settings(AL2023, **CLUSTER)
    assert yaml.safe_load(part.body) == {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {
            "cluster": {
                "name": "dev",
                "apiServerEndpoint": "https://ABC.gr7.eu-west-1.eks.amazonaws.com",
                "certificateAuthority": "LS0t",
                "cidr": "172.20.0.0/16",
            }
        },
    }


def test_bottlerocket_nodes_join_their_cluster():
    user_data = node_user_data(BOTTLEROCKET, parts=[cluster_settings(BOTTLEROCKET, **CLUSTER)])
    assert tomllib.loads(user_data) == {
        "settings": {
            "kubernetes": {
                "cluster-name": "dev",
                "api-server": "https://ABC.gr7.eu-west-1.eks.amazonaws.com",
                "cluster-certificate": "LS0t",
            }
        }
    }


def test_bottlerocket_settings_are_joined_into_one_toml():
    user_data = node_user_data(
        BOTTLEROCKET,
        parts=[
            bottlerocket_settings('[settings.motd]\nmotd = "hello"'),
            bottlerocket_settings("[settings.host-containers.admin]\nenabled = false"),
        ],
    )
    assert tomllib.loads(user_data)["settings"] == {
        "motd": {"motd": "hello"},
        "host-containers": {"admin": {"enabled": False}},
    }


@pytest.mark.parametrize(
    ("family", "packet_filter", "parts", "fault"),
    [
        (
            BOTTLEROCKET,
            PacketFilter.NFTABLES,
            [],
            "packet_filter must be NONE on BOTTLEROCKET, got 'NFTABLES'; it runs no scripts, and"
            " hop limit 1 with required tokens keeps pods out there too",
        ),
        (
            BOTTLEROCKET,
            PacketFilter.NONE,
            [HELLO],
            "user_data part 1 must be TOML on BOTTLEROCKET, got 'text/x-shellscript;"
            ' charset="us-ascii"\'; use bottlerocket_settings',
        ),
        (
            AL2023,
            PacketFilter.NONE,
            [HELLO, bottlerocket_settings("")],
            "user_data part 2 must be a script or NodeConfig on AL2023, got 'application/toml'; use"
            " shell_script or node_config",
        ),
        (
            BOTTLEROCKET,
            PacketFilter.NONE,
            [bottlerocket_settings("[settings.motd]")] * 2,
            "settings must be TOML, and each table be given once, got Cannot declare"
            " ('settings', 'motd') twice (at line 2, column 15); correct it",
        ),
        (
            AL2023,
            PacketFilter.NONE,
            [UserDataPart(NODE_CONFIG, "--==irsa-stack-user-data==")],
            "user_data part 1 must not hold the line '--==irsa-stack-user-data=='; it parts the"
            " parts",
        ),
    ],
)
def test_refuses(family, packet_filter, parts, fault):
    with pytest.raises(InvalidInput) as error:
        node_user_data(family, packet_filter, parts)
    assert str(error.value) == fault


def part_of_size(size: int) -> UserDataPart:
    """Return a part that makes the whole user data *size* bytes long."""
    frame = len(node_user_data(AL2023, parts=[node_config("")]))
    return node_config("#" * (size - frame))


def test_accepts_user_data_of_16_kib():
    assert len(node_user_data(AL2023, parts=[part_of_size(16_384)])) == 16_384


def test_refuses_user_data_over_16_kib():
    with pytest.raises(InvalidInput, match="must be at most 16384 bytes, got 16385; keep long"):
        node_user_data(AL2023, parts=[part_of_size(16_385)])


def test_counts_a_deploy_time_value_as_the_longest_that_it_can_become():
    part = node_config("${Token[TOKEN.1]}" * 8)
    with pytest.raises(InvalidInput, match="must be at most 16384 bytes"):
        node_user_data(AL2023, parts=[part])


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("echo", "body must start with '#!', got ['echo']; add '#!/bin/bash'"),
        ("", "body must start with '#!', got []; add '#!/bin/bash'"),
        ("#!/bin/bash\necho ä\n", "body must be ASCII, got 'ä'; escape it"),
    ],
)
def test_refuses_a_script_that_cloud_init_would_not_run(body, fault):
    with pytest.raises(InvalidInput) as error:
        shell_script(body)
    assert str(error.value) == fault


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        ("settings = ", "settings must be TOML"),
        ("[kubernetes]", "settings must lie below [settings], got 'kubernetes'"),
    ],
)
def test_refuses_settings_that_bottlerocket_would_not_take(toml, fault):
    with pytest.raises(InvalidInput) as error:
        bottlerocket_settings(toml)
    assert str(error.value).startswith(fault)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("AL2023", AL2023),
        ("al2023", AL2023),
        ("AL2023_ARM_64_STANDARD", AL2023),
        ("AL2023_x86_64_NVIDIA", AL2023),
        ("BOTTLEROCKET", BOTTLEROCKET),
        ("BOTTLEROCKET_x86_64_FIPS", BOTTLEROCKET),
    ],
)
def test_knows_the_family_of_an_eks_ami_type(name, family):
    assert AmiFamily(name) is family


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("AL2_x86_64", "AL2 images ended in November 2025; move the nodes to AL2023"),
        ("WINDOWS_CORE_2022_x86_64", "Windows nodes take PowerShell and have no netfilter; give"),
        ("WINDOWS", "Windows nodes take PowerShell"),
        ("AUTO_MODE", "EKS Auto Mode takes no launch template and already requires tokens"),
        ("CUSTOM", "a custom image boots as the family it is built on; name that family"),
        ("AL2023ish", "choose AL2023 or BOTTLEROCKET"),
        (None, "choose AL2023 or BOTTLEROCKET"),
    ],
)
def test_refuses_a_family_with_what_to_do_instead(name, fix):
    with pytest.raises(InvalidInput) as error:
        AmiFamily(name)
    assert str(error.value).startswith(
        f"ami_family must be AL2023 or BOTTLEROCKET, got {name!r}; {fix}"
    )


def test_a_family_may_be_text():
    assert cluster_settings("BOTTLEROCKET", **CLUSTER) == cluster_settings(BOTTLEROCKET, **CLUSTER)
    assert node_user_data("BOTTLEROCKET") == node_user_data(BOTTLEROCKET)


@pytest.mark.parametrize("text", ["NFTABLES", "nftables"])
def test_a_packet_filter_may_be_text(text):
    assert PacketFilter(text) is PacketFilter.NFTABLES
    assert node_user_data(AL2023, text) == node_user_data(AL2023, PacketFilter.NFTABLES)


@pytest.mark.parametrize("value", ["iptables", "", 1])
def test_refuses_an_unknown_packet_filter(value):
    with pytest.raises(InvalidInput) as caught:
        PacketFilter(value)
    assert caught.value.faults == (
        f"packet_filter must be of NONE, NFTABLES, ARTICLE_IPTABLES, got {value!r}; choose one",
    )
