"""What a node is told at its first boot: MIME parts on Amazon Linux 2023, TOML on Bottlerocket."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from irsa_stack.cloudformation.deploy_time import TOKEN
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.nodes.instance_metadata import METADATA_IPV4, METADATA_IPV6

USER_DATA_BYTES = 16 * 1024
"""See: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""

LONGEST_CLUSTER_FACT = 2_048
"""Bytes that a deploy-time value counts as. A cluster's CA certificate, the longest, has 1,500."""

SHELL_SCRIPT = 'text/x-shellscript; charset="us-ascii"'
NODE_CONFIG = "application/node.eks.aws"
BOTTLEROCKET_SETTINGS = "application/toml"

TABLE = "irsa_metadata_guard"
TABLE_FILE = "/etc/irsa-metadata-guard.nft"
UNIT = "irsa-metadata-guard.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"

_BOUNDARY = "==irsa-stack-user-data=="
_NO_FAMILY = {
    "AL2": "AL2 images ended in November 2025; move the nodes to AL2023 or BOTTLEROCKET",
    "AUTO": "EKS Auto Mode takes no launch template and already requires tokens with hop limit 1;"
    " leave the guard out and still tell controllers their region and VPC id",
    "CUSTOM": "a custom image boots as the family it is built on; name that family",
    "WINDOWS": "Windows nodes take PowerShell and have no netfilter; give them a launch template"
    " of their own with required tokens and hop limit 1",
}


class AmiFamily(StrEnum):
    """Operating system of a node's image, which decides the form of its user data.

    The name of an EKS AMI type is understood too: `AmiFamily("AL2023_ARM_64_STANDARD")`.

    Raises:
        InvalidInput: the guard cannot serve that family; the message says why, and what can.
    """

    AL2023 = "AL2023"
    BOTTLEROCKET = "BOTTLEROCKET"

    @classmethod
    def _missing_(cls, value: object) -> Self:
        text = f"{value}_".upper()
        for family in cls:
            if text.startswith(f"{family}_"):
                return family
        reasons = (why for name, why in _NO_FAMILY.items() if text.startswith(f"{name}_"))
        fix = next(reasons, f"choose {' or '.join(cls)}")
        raise InvalidInput([f"ami_family must be {' or '.join(cls)}, got {value!r}; {fix}"])


class PacketFilter(StrEnum):
    """What a node's kernel adds to the hop limit. `docs/instance-metadata.md` compares them."""

    NONE = "NONE"
    """Nothing: required tokens and hop limit 1 keep pods out by themselves."""

    NFTABLES = "NFTABLES"
    """A table of its own that refuses whatever is forwarded to the metadata service.

    It covers IPv4 and IPv6, every pod interface whatever its name, both metadata versions and any
    hop limit. It comes before the rules of the CNI, and neither an ACCEPT there nor `iptables -F`
    opens it; `nft flush ruleset` does, until the next boot. TCP is reset, so that clients fail at
    once. A node that cannot load it starts no kubelet. Pods in the host's network are not
    forwarded, and pass.
    """

    ARTICLE_IPTABLES = "ARTICLE_IPTABLES"
    """The lines of the article that this app follows, as they stand, for who must have them.

    Known holes: only pods behind `eni*` interfaces are stopped, not those with a security group
    of their own (`vlan*`), nor IPv4 from IPv6 clusters (`veth*`), nor other CNIs; IPv6 is open; a
    CNI's ACCEPT inserted before the rule opens it; clients hang until they time out. The image
    lacks `iptables-services`: the first line downloads it, and where the node reaches no package
    repository the rule lasts only until the next boot. `systemctl restart iptables` replaces the
    rules that kube-proxy and the CNI have written since.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self:
        for filter_ in cls:
            if f"{value}".upper() == filter_:
                return filter_
        raise InvalidInput(
            [f"packet_filter must be of {', '.join(cls)}, got {value!r}; choose one"]
        )


@dataclass(frozen=True, slots=True)
class UserDataPart:
    """Hold one part of a node's user data.

    Args:
        content_type: its MIME type; `shell_script`, `node_config`, `cluster_settings` and
            `bottlerocket_settings` know theirs.
        body: its text.
    """

    content_type: str
    body: str


def shell_script(body: str) -> UserDataPart:
    """Return a part that cloud-init runs once, as root, before kubelet starts.

    Args:
        body: the script with its `#!` line; ASCII.

    Raises:
        InvalidInput: cloud-init would not run it.
    """
    faults = []
    if not body.startswith("#!"):
        faults.append(
            f"body must start with '#!', got {body.splitlines()[:1]!r}; add '#!/bin/bash'"
        )
    if not body.isascii():
        faults.append(f"body must be ASCII, got {_first_not_ascii(body)!r}; escape it")
    refuse(faults)
    return UserDataPart(SHELL_SCRIPT, body)


def node_config(yaml: str) -> UserDataPart:
    """Return a part that nodeadm of Amazon Linux 2023 merges into the node's configuration.

    Args:
        yaml: a `NodeConfig` of `node.eks.aws/v1alpha1`.

    See:
        https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/
    """
    return UserDataPart(NODE_CONFIG, yaml)


def bottlerocket_settings(toml: str) -> UserDataPart:
    """Return settings of Bottlerocket.

    Args:
        toml: tables below `[settings]`.

    Raises:
        InvalidInput: *toml* is no TOML, or has a key beside `settings`.

    See:
        https://bottlerocket.dev/en/os/latest/api/settings/
    """
    refuse(_toml_faults(toml))
    return UserDataPart(BOTTLEROCKET_SETTINGS, toml)


def cluster_settings(
    ami_family: AmiFamily,
    *,
    cluster_name: str,
    endpoint: str,
    certificate_authority_data: str,
    service_cidr: str,
) -> UserDataPart:
    """Return the part that lets a node join its cluster.

    EKS adds it by itself for managed node groups that name no image, Karpenter for its nodes;
    self-managed groups and groups with an image of their own need it.

    Args:
        ami_family: family of the node's image.
        cluster_name: name of the cluster.
        endpoint: `https://` URL of its API server.
        certificate_authority_data: its CA certificate, base64 of PEM.
        service_cidr: CIDR of its services. Bottlerocket finds that by itself.
    """
    if AmiFamily(ami_family) is AmiFamily.BOTTLEROCKET:
        return bottlerocket_settings(
            "[settings.kubernetes]\n"
            f"cluster-name = {json.dumps(cluster_name)}\n"
            f"api-server = {json.dumps(endpoint)}\n"
            f"cluster-certificate = {json.dumps(certificate_authority_data)}\n"
        )
    return node_config(
        "apiVersion: node.eks.aws/v1alpha1\n"
        "kind: NodeConfig\n"
        "spec:\n"
        "  cluster:\n"
        f"    name: {json.dumps(cluster_name)}\n"
        f"    apiServerEndpoint: {json.dumps(endpoint)}\n"
        f"    certificateAuthority: {json.dumps(certificate_authority_data)}\n"
        f"    cidr: {json.dumps(service_cidr)}\n"
    )


def default_packet_filter(ami_family: AmiFamily) -> PacketFilter:
    """Return the second layer that nodes of a family have unless somebody says otherwise."""
    return PacketFilter.NONE if ami_family is AmiFamily.BOTTLEROCKET else PacketFilter.NFTABLES


def node_user_data(
    ami_family: AmiFamily,
    packet_filter: PacketFilter = PacketFilter.NONE,
    parts: Sequence[UserDataPart] = (),
) -> str | None:
    """Return the user data of a node, or None if there is nothing to say.

    For Amazon Linux 2023 it is a MIME multipart text with the packet filter first, which EKS and
    Karpenter merge with their own part. For Bottlerocket it is TOML.

    Args:
        ami_family: family of the node's image.
        packet_filter: what to add to the hop limit.
        parts: what else the node is told, in this order.

    Raises:
        InvalidInput: the family does not take a part or the filter, the parts contradict each
            other, or the whole is over 16 KiB; all faults are listed.
    """
    ami_family, packet_filter = AmiFamily(ami_family), PacketFilter(packet_filter)
    refuse(node_user_data_faults(ami_family, packet_filter, parts))
    return _joined(ami_family, packet_filter, parts)


def node_user_data_faults(
    ami_family: AmiFamily, packet_filter: PacketFilter, parts: Sequence[UserDataPart]
) -> Iterator[str]:
    """Say why a node of *ami_family* would not take this user data."""
    bottlerocket = ami_family is AmiFamily.BOTTLEROCKET
    if bottlerocket and packet_filter is not PacketFilter.NONE:
        yield (
            f"packet_filter must be NONE on BOTTLEROCKET, got {str(packet_filter)!r}; it runs no"
            " scripts, and hop limit 1 with required tokens keeps pods out there too"
        )
    misfits = [
        f"user_data part {number} must be {'TOML' if bottlerocket else 'a script or NodeConfig'}"
        f" on {ami_family}, got {part.content_type!r};"
        f" use {'bottlerocket_settings' if bottlerocket else 'shell_script or node_config'}"
        for number, part in enumerate(parts, start=1)
        if (part.content_type == BOTTLEROCKET_SETTINGS) is not bottlerocket
    ]
    yield from misfits
    if misfits:
        return
    if bottlerocket:
        yield from _toml_faults("\n".join(part.body for part in parts))
    yield from (
        f"user_data part {number} must not hold the line '--{_BOUNDARY}'; it parts the parts"
        for number, part in enumerate(parts, start=1)
        if f"--{_BOUNDARY}" in part.body
    )
    text = _joined(ami_family, packet_filter, parts) or ""
    size = len(TOKEN.sub("x" * LONGEST_CLUSTER_FACT, text).encode())
    if size > USER_DATA_BYTES:
        yield (
            f"user_data must be at most {USER_DATA_BYTES} bytes, got {size}; keep long scripts in"
            " an S3 object or in the image"
        )


def nftables_table() -> str:
    """Return the nftables file that refuses metadata to whatever is forwarded.

    It replaces its own table in one transaction and touches no other. A base chain of its own
    cannot be passed by an ACCEPT elsewhere, which ends only the chain that says it. Pod Identity
    (169.254.170.23), DNS and time are other addresses, and stay.

    See:
        https://wiki.nftables.org/wiki-nftables/index.php/Configuring_chains
    """
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
	chain forward {{
		type filter hook forward priority filter - 10; policy accept;
		ip daddr {METADATA_IPV4} jump refuse
		ip6 daddr {METADATA_IPV6} jump refuse
	}}
	chain refuse {{
		meta l4proto tcp counter reject with tcp reset
		counter drop
	}}
}}
"""


def nftables_unit() -> str:
    """Return the systemd unit that loads the table at every boot before kubelet starts a pod.

    kubelet requires it: a node that cannot load the table does not join. `nftables.service`
    flushes all tables when it starts, so this comes after it.
    """
    return f"""\
[Unit]
Description=Keep pods from the instance metadata service
After=nftables.service
Before=kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file {TABLE_FILE}

[Install]
RequiredBy=kubelet.service
"""


def packet_filter_script(packet_filter: PacketFilter) -> UserDataPart | None:
    """Return the part that sets up *packet_filter* on Amazon Linux 2023, or None for none."""
    match packet_filter:
        case PacketFilter.NONE:
            return None
        case PacketFilter.NFTABLES:
            return shell_script(
                "#!/bin/bash\n"
                "set -euo pipefail\n"
                f"cat > {TABLE_FILE} <<'END'\n{nftables_table()}END\n"
                f"cat > {UNIT_FILE} <<'END'\n{nftables_unit()}END\n"
                "systemctl daemon-reload\n"
                f"systemctl enable --now {UNIT}\n"
            )
        case PacketFilter.ARTICLE_IPTABLES:
            return shell_script(
                "#!/bin/bash\n"
                "yum install -y iptables-services\n"
                "iptables --insert FORWARD 1 --in-interface eni+"
                f" --destination {METADATA_IPV4}/32 --jump DROP\n"
                "iptables-save | tee /etc/sysconfig/iptables\n"
                "systemctl enable --now iptables\n"
            )


def _joined(
    ami_family: AmiFamily, packet_filter: PacketFilter, parts: Sequence[UserDataPart]
) -> str | None:
    if ami_family is AmiFamily.BOTTLEROCKET:
        return "\n".join(part.body for part in parts) or None
    script = packet_filter_script(packet_filter)
    every = [script, *parts] if script else list(parts)
    if not every:
        return None
    # Karpenter recognises user data by this first line.
    head = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{_BOUNDARY}"\n\n'
    body = "".join(
        f"--{_BOUNDARY}\nContent-Type: {part.content_type}\n\n{part.body}\n" for part in every
    )
    return f"{head}{body}--{_BOUNDARY}--\n"


def _toml_faults(toml: str) -> Iterator[str]:
    try:
        parsed = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as reason:
        yield f"settings must be TOML, and each table be given once, got {reason}; correct it"
        return
    yield from (
        f"settings must lie below [settings], got {key!r}; write [settings.{key}]"
        for key in parsed
        if key != "settings"
    )


def _first_not_ascii(text: str) -> str:
    return next(character for character in text if not character.isascii())
