"""The user data as a node runs it: cloud-init's part, systemd's units, kubelet after them."""

import re
import subprocess
import time

import pytest

from irsa_stack.nodes.user_data import (
    TABLE,
    TABLE_FILE,
    UNIT,
    AmiFamily,
    PacketFilter,
    nftables_table,
    nftables_unit,
    node_user_data,
    shell_script,
)
from tests.netfilter.network_namespace import NetworkNamespace

WITH_NFTABLES = node_user_data(AmiFamily.AL2023, PacketFilter.NFTABLES)
FLUSH_AT_BOOT = """
[Unit]
Before=network-pre.target
[Service]
Type=oneshot
ExecStartPre=/usr/bin/sleep 0.5
ExecStart=/usr/sbin/nft flush ruleset
ExecStartPost=/usr/bin/touch /flushed
"""


def test_systemd_finds_no_fault_in_the_unit(tmp_path):
    unit = tmp_path / UNIT
    unit.write_text(nftables_unit())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_table_is_there_when_kubelet_starts_for_the_first_time(node):
    node.boot(WITH_NFTABLES)
    assert f"table inet {TABLE}" in node.kubelet_saw


def test_the_table_is_there_when_kubelet_starts_after_a_reboot(node):
    node.boot(WITH_NFTABLES)
    node.reboot()
    assert f"table inet {TABLE}" in node.kubelet_saw


def test_a_service_that_flushes_at_boot_comes_first(node):
    (node.root / "etc/systemd/system/nftables.service").write_text(FLUSH_AT_BOOT)
    node.boot(WITH_NFTABLES)
    (node.root / "flushed").unlink()
    node.reboot()
    node.wait_for("flushed")
    assert f"table inet {TABLE}" in node.host.run("nft", "list", "tables")


def test_a_node_that_cannot_load_the_table_starts_no_kubelet(node):
    node.boot(WITH_NFTABLES)
    (node.root / TABLE_FILE.lstrip("/")).write_text("no table\n")
    node.reboot()
    assert node.kubelet_saw is None


def test_the_articles_lines_run_without_a_package_repository(node):
    node.boot(node_user_data(AmiFamily.AL2023, PacketFilter.ARTICLE_IPTABLES), repository=False)
    assert "-i eni+ -j DROP" in node.host.run("iptables", "-S", "FORWARD")


def test_the_filter_is_up_before_any_other_script_runs(node):
    script = shell_script("#!/bin/bash\nnft list tables > /tables-then\n")
    scripts = node_user_data(AmiFamily.AL2023, PacketFilter.NFTABLES, [script])
    node.boot(scripts)
    assert (node.root / "tables-then").read_text() == f"table inet {TABLE}\n"


@pytest.fixture
def kernel():
    with NetworkNamespace() as kernel:
        yield kernel


def test_the_table_can_be_loaded_again_and_is_there_once(kernel):
    for _ in range(2):
        kernel.run("nft", "--file", "-", stdin=nftables_table())
    rules = kernel.run("nft", "list", "ruleset")
    assert (rules.count("table inet"), rules.count("ip daddr 169.254.169.254")) == (1, 1)


def test_the_table_leaves_those_of_others_alone(kernel):
    kernel.run("nft", "add", "table", "inet", "cni")
    kernel.run("nft", "--file", "-", stdin=nftables_table())
    assert "table inet cni" in kernel.run("nft", "list", "tables")


def test_the_table_counts_what_it_refused(node):
    node.boot(WITH_NFTABLES)
    node.attempts()
    rules = node.host.run("nft", "list", "table", "inet", TABLE)
    packets = re.search(r"counter packets (\d+) bytes \d+ reject with tcp reset", rules)
    # Two versions, two addresses, three pods behind the node.
    assert int(packets[1]) == 12


def test_what_is_not_tcp_is_dropped(node):
    node.boot(WITH_NFTABLES)
    node.pods["eni"].run(
        "bash", "-c", "for n in 1 2 3; do echo x > /dev/udp/169.254.169.254/80; done"
    )
    time.sleep(0.1)
    rules = node.host.run("nft", "list", "chain", "inet", TABLE, "refuse")
    assert re.search(r"counter packets 3 bytes \d+ drop", rules)


def test_what_is_refused_never_reaches_the_cnis_rules(node):
    node.boot(WITH_NFTABLES)
    node.host.run("iptables", "--insert", "FORWARD", "--destination", "169.254.169.254")
    node.attempts()
    rules = node.host.run("iptables", "--list-rules", "FORWARD", "--verbose")
    assert "-d 169.254.169.254/32 -c 0 0" in rules
