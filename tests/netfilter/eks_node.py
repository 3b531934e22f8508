"""A node of EKS as far as metadata goes: its pods' links, its netfilter, and systemd booting it."""

import email
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from irsa_stack.nodes.instance_metadata import METADATA_IPV4, METADATA_IPV6
from tests.netfilter.metadata_service import (
    PATIENCE,
    Attempt,
    MetadataService,
    Quiet,
    WebServer,
    reaches,
    take_credentials,
)
from tests.netfilter.network_namespace import NetworkNamespace

POD_IDENTITY = ("169.254.170.23", "fd00:ec2::23")
DNS = "169.254.169.253"
METADATA = (METADATA_IPV4, METADATA_IPV6)
VERSIONS = ("v1", "v2")
ROUTED_PODS = {"eni": "enia1b2c3d4e5f", "vlan": "vlan9f8e7d6c5b", "veth": "veth0a1b2c3d"}
"""Pods behind the node, by the name of their link there: usual, with a security group of their own,
and IPv4 of an IPv6 cluster.

See: https://github.com/aws/amazon-vpc-cni-k8s/blob/master/pkg/sgpp/utils.go
"""

_UNITS = {
    # First boot: cloud-init runs the scripts of the user data, then nodeadm starts kubelet.
    # https://github.com/awslabs/amazon-eks-ami/tree/main/templates/al2023/runtime
    "cloud-final.service": """
        [Unit]
        ConditionDirectoryNotEmpty=/scripts
        [Service]
        Type=oneshot
        Environment=PATH=/repository:/usr/sbin:/usr/bin
        ExecStart=-/usr/bin/run-parts /scripts
        ExecStartPost=/bin/mv /scripts /scripts-done
        StandardOutput=append:/cloud-init-output.log
        StandardError=inherit
        """,
    "nodeadm-run.service": """
        [Unit]
        After=cloud-final.service
        [Service]
        Type=oneshot
        ExecStart=-/usr/bin/systemctl start kubelet.service
        ExecStart=/bin/touch /booted
        """,
    "kubelet.service": """
        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStartPre=/usr/sbin/iptables -P FORWARD ACCEPT -w 5
        ExecStart=/usr/sbin/nft list tables
        StandardOutput=truncate:/kubelet-saw
        """,
    "boot.target": """
        [Unit]
        Wants=cloud-final.service nodeadm-run.service nftables.service multi-user.target
        """,
}
_IPTABLES_SERVICES = """\
#!/bin/bash
cat > /etc/systemd/system/iptables.service <<'END'
[Unit]
Before=kubelet.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables-restore /etc/sysconfig/iptables
[Install]
WantedBy=multi-user.target
END
"""
"""What `yum install iptables-services` comes to: a unit that restores the saved rules."""


class EksNode:
    """A node with a pod of each kind, next to a metadata service of its own."""

    def __init__(self, directory: Path) -> None:
        self._end = ExitStack()
        self._outside = self._end.enter_context(NetworkNamespace())
        self.host = self._end.enter_context(NetworkNamespace())
        self.pods = {
            kind: self._end.enter_context(NetworkNamespace()) for kind in (*ROUTED_PODS, "own link")
        }
        self._link()
        self.metadata = self._end.enter_context(MetadataService(self._outside, *METADATA))
        self._end.enter_context(WebServer(self._outside, DNS, Quiet))
        for address in POD_IDENTITY:
            self._end.enter_context(WebServer(self.host, address, Quiet))
        self._await_links()
        self._machine: subprocess.Popen[bytes] | None = None
        self._name = f"irsa-stack-{secrets.token_hex(6)}"
        self._cgroups = cgroup_directories(self._name)
        self.root = directory / self._name
        self._install()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._power_off()
        self._end.close()
        shutil.rmtree(self.root)

    def boot(self, user_data: str | None = None, *, repository: bool = True) -> None:
        """Start the machine, for the first time with *user_data*.

        Args:
            user_data: as the launch template holds it.
            repository: whether the node reaches a package repository.
        """
        for name in ("booted", "kubelet-saw"):
            (self.root / name).unlink(missing_ok=True)
        if user_data is not None:
            for number, script in enumerate(shell_parts(user_data), start=1):
                self._executable(f"scripts/part-{number:03}", script)
        if repository:
            self._executable("repository/yum", _IPTABLES_SERVICES)
        self._machine = self.host.call(self._start)
        self.wait_for("booted")

    def reboot(self) -> None:
        """Stop the machine, forget what its kernel held, start it again."""
        self._power_off()
        self.host.run("nft", "flush", "ruleset")
        self.boot()

    def wait_for(self, name: str) -> None:
        """Wait until the running machine has written a file."""
        assert self._machine is not None
        deadline = time.monotonic() + 30
        while not (self.root / name).exists():
            assert self._machine.poll() is None, f"systemd ended with {self._machine.returncode}"
            assert time.monotonic() < deadline, f"the machine wrote no /{name} within 30 s"
            time.sleep(0.02)

    @property
    def kubelet_saw(self) -> str | None:
        """The tables that were there when kubelet started; None if it did not start."""
        try:
            return (self.root / "kubelet-saw").read_text()
        except FileNotFoundError:
            return None

    def attempts(self, patience: float = PATIENCE) -> Mapping[tuple[str, str, str], Attempt]:
        """Try to take the node's credentials from everywhere, by place, address and version."""
        tries = [
            (place, address, version)
            for place in (*self.pods, "host")
            for address in METADATA
            for version in VERSIONS
        ]
        with ThreadPoolExecutor(max_workers=len(tries)) as pool:
            done = pool.map(
                lambda it: take_credentials(
                    self.pods.get(it[0], self.host), it[1], it[2], patience
                ),
                tries,
            )
            return dict(zip(tries, done, strict=True))

    def reaches_its_neighbours(self) -> bool:
        """Whether each pod behind the node still reaches Pod Identity and DNS."""
        return all(
            reaches(self.pods[kind], address)
            for kind in ROUTED_PODS
            for address in (*POD_IDENTITY, DNS)
        )

    def _link(self) -> None:
        """Join the namespaces as the VPC CNI does: a route to each pod, a static neighbour back."""
        node, vpc = "02:00:00:00:00:01", "02:00:00:00:00:02"
        peer = f"peer name vpc address {vpc} netns {self._outside.path}"
        self.host.ip(f"link add eth0 address {node} type veth {peer}")
        self._outside.ip(
            *(f"address add {address} dev lo" for address in (*METADATA, DNS)),
            "address add 10.99.0.1/24 dev vpc",
            "address add fd99::1/64 dev vpc nodad",
            "link set vpc up",
            # Neighbours that need no discovery: its first question can get lost for a second.
            *(f"neighbour add {it} lladdr {node} dev vpc" for it in ("10.99.0.2", "fd99::2")),
            "route add 10.98.0.0/24 via 10.99.0.2",
            "route add fd98::/64 via fd99::2",
        )
        self.host.ip(
            "address add 10.99.0.2/24 dev eth0",
            "address add fd99::2/64 dev eth0 nodad",
            "link set eth0 up",
            *(f"neighbour add {it} lladdr {vpc} dev eth0" for it in ("10.99.0.1", "fd99::1")),
            *(f"route add {address} via 10.99.0.1" for address in (METADATA_IPV4, DNS)),
            f"route add {METADATA_IPV6} via fd99::1",
            *(f"address add {address} dev lo" for address in POD_IDENTITY),
        )
        self.host.sysctl("net/ipv4/ip_forward", "1")
        self.host.sysctl("net/ipv6/conf/all/forwarding", "1")
        for number, (kind, link) in enumerate(ROUTED_PODS.items(), start=10):
            pod, mac = self.pods[kind], f"02:00:00:00:00:{number}"
            self.host.ip(
                f"link add {link} address {mac} type veth peer name eth0 netns {pod.path}",
                f"link set {link} up",
                f"address add fe80::1/64 dev {link} nodad",
                f"route add 10.98.0.{number} dev {link}",
                f"route add fd98::{number} dev {link}",
            )
            pod.ip(
                f"address add 10.98.0.{number}/32 dev eth0",
                f"address add fd98::{number}/128 dev eth0 nodad",
                "link set eth0 up",
                "route add 169.254.1.1 dev eth0",
                "route add default via 169.254.1.1 dev eth0",
                f"neighbour add 169.254.1.1 lladdr {mac} dev eth0 nud permanent",
                "route add default via fe80::1 dev eth0",
            )
        # As Multus gives pods a link of their own: nothing is forwarded by the node.
        pod = self.pods["own link"]
        self.host.ip(f"link add link eth0 name eth1 netns {pod.path} type macvlan mode bridge")
        pod.ip(
            "address add 10.99.0.50/24 dev eth1",
            "address add fd99::50/64 dev eth1 nodad",
            "link set eth1 up",
            "route add default via 10.99.0.1",
            "route add default via fd99::1",
        )

    def _await_links(self) -> None:
        """Wait until all is open to everybody: what is closed later, the settings have closed.

        The kernel brings links up in batches, up to a second late.
        """
        deadline = time.monotonic() + 20
        while not all(attempt.outcome == "open" for attempt in self.attempts(0.2).values()):
            assert time.monotonic() < deadline, "the lab's own links did not come up within 20 s"

    def _install(self) -> None:
        """Lay out a root file system whose /usr is this machine's."""
        for name in ("etc/systemd/system", "etc/sysconfig", "repository", "scripts", "usr", "var"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "etc/os-release").write_text("ID=lab\n")
        (self.root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
        for name, text in _UNITS.items():
            unit = "\n".join(line.strip() for line in text.splitlines())
            (self.root / "etc/systemd/system" / name).write_text(unit)

    def _executable(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)
        (self.root / path).chmod(0o755)

    def _start(self) -> "subprocess.Popen[bytes]":
        self._cgroups[0].mkdir()
        return subprocess.Popen(
            [
                # A cgroup of its own: machines that share one stop each other's services.
                *("sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', self._cgroups[0]),
                # Not even a killed test run leaves a machine running.
                *("setpriv", "--pdeathsig=KILL"),
                *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
                "systemd-nspawn",
                "--quiet",
                f"--directory={self.root}",
                f"--machine={self._name}",
                "--bind-ro=/usr",
                "--bind-ro=/etc/alternatives",
                "--capability=CAP_NET_ADMIN",
                "--register=no",
                "--keep-unit",
                "--console=pipe",
                "--boot",
                "--",
                "--unit=boot.target",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )

    def _power_off(self) -> None:
        """Cut the power: nothing gets to run at shutdown."""
        if self._machine is None:
            return
        (self._cgroups[0] / "cgroup.kill").write_text("1")
        self._machine.wait(timeout=10)
        self._machine = None
        deadline = time.monotonic() + 10
        while "populated 1" in (self._cgroups[0] / "cgroup.events").read_text():
            assert time.monotonic() < deadline, "the machine did not end within 10 s"
            time.sleep(0.02)
        for cgroup in self._cgroups:
            for directory, _, _ in os.walk(cgroup, topdown=False):
                Path(directory).rmdir()
        # systemd-nspawn leaves it behind where /run is no tmpfs.
        propagated = Path("/run/systemd/nspawn/propagate", self._name)
        if propagated.exists():
            propagated.rmdir()


def shell_parts(user_data: str) -> list[str]:
    """Return the scripts in *user_data*, found as cloud-init finds them."""
    return [
        str(part.get_payload())
        for part in email.message_from_string(user_data).walk()
        if part.get_content_type() == "text/x-shellscript"
    ]


def cgroup_directories(name: str) -> list[Path]:
    """Return where cgroup *name* of this process is: in version 2, and in those that mirror it."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    cgroups = Path("/proc/self/cgroup").read_text().splitlines()
    path = next(line.removeprefix("0::/") for line in cgroups if line.startswith("0::"))
    return [
        Path(fields[1], path, name)
        for kind in ("cgroup2", "cgroup")
        for fields in mounts
        if fields[2] == kind
    ]


def missing_tools() -> list[str]:
    """Return what this machine lacks to be such a node."""
    tools = ("ip", "nft", "iptables", "systemd-nspawn", "systemd-analyze", "setpriv", "unshare")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if " cgroup2 " not in Path("/proc/mounts").read_text():
        missing.append("version 2 cgroups")
    return missing
