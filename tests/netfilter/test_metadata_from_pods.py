"""What pods get from the metadata service under each setting, measured on real netfilter."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from irsa_stack.cdk.metadata_guard import InstanceMetadataGuard
from irsa_stack.nodes.user_data import PacketFilter
from tests.netfilter.eks_node import METADATA, ROUTED_PODS, VERSIONS, EksNode
from tests.netfilter.metadata_service import Attempt

DOCUMENT = Path(__file__).parents[2] / "docs/instance-metadata.md"
BEGIN, END = "<!-- measured by `make netfilter-docs` -->\n", "<!-- end of measured -->\n"
UNGUARDED = ("optional", 2)
CNI_ACCEPT = "iptables --insert FORWARD 1 --source 10.98.0.0/24 --jump ACCEPT"
CNI_ACCEPT_IPV6 = "ip6tables --insert FORWARD 1 --source fd98::/64 --jump ACCEPT"
REBOOT = "reboot"


@dataclass(frozen=True)
class Setting:
    """A node's metadata options and user data, and what happens to it after its first boot."""

    name: str
    guard: PacketFilter | None = None
    """The guard whose launch template started the node."""
    options: tuple[str, int] | None = None
    """HttpTokens and hop limit, where the template is not to decide: a filter by itself."""
    then: tuple[str, ...] = ()
    repository: bool = True


DEFAULT = Setting("**the guard's default: tokens required, hop limit 1**", PacketFilter.NONE)
ARTICLE = Setting("`ARTICLE_IPTABLES` alone", PacketFilter.ARTICLE_IPTABLES, UNGUARDED)
NFTABLES = Setting("**`NFTABLES` alone**", PacketFilter.NFTABLES, UNGUARDED)
BOTH = Setting("**the guard with `NFTABLES`**", PacketFilter.NFTABLES)
HARDSHIPS = (
    Setting(
        "`NFTABLES`, a CNI's ACCEPT put before it",
        NFTABLES.guard,
        UNGUARDED,
        (CNI_ACCEPT, CNI_ACCEPT_IPV6),
    ),
    Setting(
        "`NFTABLES`, after `iptables -F` and `-P FORWARD ACCEPT`",
        NFTABLES.guard,
        UNGUARDED,
        ("iptables -F", "ip6tables -F", "iptables -P FORWARD ACCEPT"),
    ),
    Setting("`NFTABLES`, after a reboot", NFTABLES.guard, UNGUARDED, (REBOOT,)),
)
SETTINGS = (
    Setting("tokens optional, hop limit 2", options=("optional", 2)),
    Setting("tokens optional, hop limit 1", options=("optional", 1)),
    Setting("tokens required, hop limit 2", options=("required", 2)),
    DEFAULT,
    ARTICLE,
    Setting("`ARTICLE_IPTABLES`, after a reboot", ARTICLE.guard, UNGUARDED, (REBOOT,)),
    Setting(
        "`ARTICLE_IPTABLES`, no package repository, after a reboot",
        ARTICLE.guard,
        UNGUARDED,
        (REBOOT,),
        repository=False,
    ),
    Setting(
        "`ARTICLE_IPTABLES`, a CNI's ACCEPT put before it", ARTICLE.guard, UNGUARDED, (CNI_ACCEPT,)
    ),
    NFTABLES,
    *HARDSHIPS,
    Setting(
        "`NFTABLES`, after `nft flush ruleset`", NFTABLES.guard, UNGUARDED, ("nft flush ruleset",)
    ),
    BOTH,
    Setting(
        "the guard with `NFTABLES`, after `nft flush ruleset`",
        BOTH.guard,
        None,
        ("nft flush ruleset",),
    ),
)


@dataclass(frozen=True)
class Measurement:
    attempts: Mapping[tuple[str, str, str], Attempt]
    neighbours: bool

    def open_at(self, place: str, address: str) -> tuple[str, ...]:
        return tuple(
            version
            for version in VERSIONS
            if self.attempts[place, address, version].outcome == "open"
        )

    def refusals(self) -> list[Attempt]:
        return [
            self.attempts[place, address, version]
            for place in ROUTED_PODS
            for address in METADATA
            for version in VERSIONS
        ]

    def row(self, name: str) -> str:
        closed = sorted({it.outcome for it in self.refusals() if it.outcome != "open"})
        cells = [self._cell(place) for place in (*ROUTED_PODS, "host", "own link")]
        return f"| {' | '.join((name, *cells, ', '.join(closed) or '-'))} |\n"

    def _cell(self, place: str) -> str:
        ipv4, ipv6 = (" ".join(self.open_at(place, address)) or "closed" for address in METADATA)
        return ipv4 if ipv4 == ipv6 else f"{ipv4}; IPv6 {ipv6}"


@pytest.fixture(scope="module")
def launch_templates() -> Mapping[PacketFilter, dict[str, Any]]:
    """LaunchTemplateData of a guard with each filter, the IPv6 endpoint on: the worst case."""
    stack = cdk.Stack(cdk.App(), "Nodes")
    for packet_filter in PacketFilter:
        InstanceMetadataGuard(
            stack, packet_filter.title(), packet_filter=packet_filter, ipv6_endpoint=True
        )
    resources = Template.from_stack(stack).to_json()["Resources"].values()
    return dict(
        zip(
            PacketFilter,
            (resource["Properties"]["LaunchTemplateData"] for resource in resources),
            strict=True,
        )
    )


@pytest.fixture(scope="module")
def measure(
    launch_templates: Mapping[PacketFilter, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Setting], Measurement]]:
    """Measure all settings, a few nodes at a time: most of it is waiting for silence to end."""
    directory = tmp_path_factory.mktemp("nodes")
    with ThreadPoolExecutor(max_workers=4) as pool:
        measurements = {
            setting: pool.submit(
                _measured,
                setting,
                launch_templates[setting.guard] if setting.guard else {},
                directory,
            )
            for setting in SETTINGS
        }
        yield lambda setting: measurements[setting].result()


def _measured(setting: Setting, template: dict[str, Any], directory: Path) -> Measurement:
    with EksNode(directory) as node:
        node.boot(template.get("UserData", {}).get("Fn::Base64"), repository=setting.repository)
        options = template.get("MetadataOptions", {})
        node.metadata.http_tokens, node.metadata.hop_limit = setting.options or (
            options["HttpTokens"],
            options["HttpPutResponseHopLimit"],
        )
        for command in setting.then:
            if command == REBOOT:
                node.reboot()
            else:
                node.host.run(*command.split())
        return Measurement(node.attempts(), node.reaches_its_neighbours())


@pytest.mark.parametrize("setting", [DEFAULT, BOTH], ids=["hop limit", "with nftables"])
@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("pod", ROUTED_PODS)
def test_the_guard_closes_metadata_to_pods(measure, setting, address, pod):
    assert measure(setting).open_at(pod, address) == ()


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize(
    ("options", "left_open"), [(("optional", 1), ("v1",)), (("required", 2), ("v2",))]
)
def test_either_limit_alone_leaves_a_version_open(measure, options, left_open, address):
    measured = measure(next(setting for setting in SETTINGS if setting.options == options))
    assert [measured.open_at(pod, address) for pod in ROUTED_PODS] == [left_open] * 3


@pytest.mark.parametrize("setting", [NFTABLES, *HARDSHIPS], ids=lambda setting: setting.name)
def test_nftables_closes_metadata_whatever_the_hop_limit(measure, setting):
    assert {it.outcome for it in measure(setting).refusals()} == {"reset"}


@pytest.mark.parametrize("setting", [NFTABLES, *HARDSHIPS], ids=lambda setting: setting.name)
def test_nftables_refuses_in_under_a_second(measure, setting):
    assert max(it.seconds for it in measure(setting).refusals()) < 1


def test_the_articles_rule_stops_usual_pods_and_no_others(measure):
    measured = measure(ARTICLE)
    assert [measured.open_at(pod, METADATA[0]) for pod in ROUTED_PODS] == [(), VERSIONS, VERSIONS]


def test_the_articles_rule_leaves_ipv6_open(measure):
    assert measure(ARTICLE).open_at("eni", METADATA[1]) == VERSIONS


def test_the_node_itself_keeps_metadata(measure):
    assert [measure(BOTH).open_at("host", address) for address in METADATA] == [("v2",)] * 2


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_pod_identity_and_dns_stay_reachable(measure, setting):
    assert measure(setting).neighbours


def test_the_documented_table_is_what_was_measured(measure):
    rows = "".join(measure(setting).row(setting.name) for setting in SETTINGS)
    document = DOCUMENT.read_text()
    before, _, rest = document.partition(BEGIN)
    documented, _, after = rest.partition(END)
    head = "".join(line for line in documented.splitlines(keepends=True)[:2])
    if os.environ.get("UPDATE_DOCS"):
        DOCUMENT.write_text(f"{before}{BEGIN}{head}{rows}{END}{after}")
    else:
        assert documented == f"{head}{rows}", "run: make netfilter-docs"
