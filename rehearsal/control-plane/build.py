#!/usr/bin/env python3
"""Build the programs of a real Kubernetes control plane from the Go module proxy, once a version.

`build.py 1.36` prints, as JSON, where each program is. A program that is found in the folder
`KUBEBUILDER_ASSETS` is taken from there and not built; if all are, no Go is needed.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROGRAMS = (*KUBERNETES, "etcd", "kwok")
MINORS = tuple(sorted(folder.name.split("-")[1] for folder in HERE.glob("kubernetes-*")))


class CannotBuild(Exception):  # noqa: N818 (a sentence, not a category)
    """A reason that a person can act on."""


def main() -> None:
    """Print where the programs of the version on the command line are, building what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minor", choices=MINORS, nargs="?", default=MINORS[-1])
    try:
        found = programs(parser.parse_args().minor)
    except CannotBuild as reason:
        sys.exit(f"control plane: {reason}")
    print(json.dumps({name: str(path) for name, path in found.items()}, indent=1))  # noqa: T201


def programs(minor: str) -> dict[str, Path]:
    """Return the path of each program of a minor version such as `1.36`.

    Raises:
        CannotBuild: Go is missing or fails; says what it said.
    """
    found = ready_programs()
    if set(PROGRAMS) <= found.keys():
        return found
    folder = built(minor)
    return {name: folder / name for name in PROGRAMS} | found


def ready_programs() -> dict[str, Path]:
    """Return the programs that the user's own folder has.

    See: https://book.kubebuilder.io/reference/envtest.html
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        return {}
    return {
        name: Path(assets) / name for name in PROGRAMS if os.access(Path(assets) / name, os.X_OK)
    }


def built(minor: str) -> Path:
    """Return the cache folder of a version, building it first if it is not there or is outdated."""
    version = kubernetes_version(minor)
    folder = cache() / version
    stamp = pins(minor)
    with locked(cache() / f"{version}.lock"):
        if (folder / "pins").is_file() and (folder / "pins").read_text() == stamp:
            return folder
        started = time.monotonic()
        say(f"building Kubernetes {version}; this takes minutes, once")
        fresh = Path(tempfile.mkdtemp(prefix=f"{version}.", dir=cache()))
        try:
            for name in KUBERNETES:
                compile_program(
                    f"kubernetes-{minor}",
                    f"k8s.io/kubernetes/cmd/{name}",
                    fresh / name,
                    ldflags=version_flags(version),
                )
            compile_program("etcd", "go.etcd.io/etcd/server/v3", fresh / "etcd")
            compile_program("kwok", "sigs.k8s.io/kwok/cmd/kwok", fresh / "kwok")
            (fresh / "pins").write_text(stamp)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        say(f"built in {time.monotonic() - started:.0f} s: {folder}")
    return folder


def compile_program(module: str, package: str, program: Path, *, ldflags: str = "-s -w") -> None:
    """Compile *package* as the module folder *module* pins it."""
    go = shutil.which("go")
    if go is None:
        raise CannotBuild(
            f"go must be on PATH to build {program.name}, got none; install Go 1.26 or set"
            f" KUBEBUILDER_ASSETS to a folder with {', '.join(PROGRAMS)}"
        )
    started = time.monotonic()
    done = subprocess.run(
        [go, "build", "-trimpath", "-ldflags", ldflags, "-o", str(program), package],
        cwd=HERE / module,
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotBuild(f"go build {package} failed: {done.stderr.strip()[-2000:]}")
    say(f"  {program.name} {time.monotonic() - started:.0f} s")


def version_flags(version: str) -> str:
    """Return the linker flags that tell the programs their version, as upstream's build does."""
    _, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": "1", "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = [f"-X {package}.{key}={value}" for package in packages for key, value in values.items()]
    return " ".join(["-s -w", *flags])


def kubernetes_version(minor: str) -> str:
    """Return the patch version that the module folder of *minor* requires."""
    text = (HERE / f"kubernetes-{minor}" / "go.mod").read_text()
    match = re.search(r"k8s\.io/kubernetes v([\d.]+)", text)
    if match is None:
        raise CannotBuild(f"kubernetes-{minor}/go.mod must require k8s.io/kubernetes, got none")
    return match[1]


def pins(minor: str) -> str:
    """Return a digest of everything that the programs are built from."""
    digest = hashlib.sha256()
    for module in (f"kubernetes-{minor}", "etcd", "kwok"):
        for name in ("go.mod", "go.sum"):
            digest.update((HERE / module / name).read_bytes())
    return digest.hexdigest()


def cache() -> Path:
    """Return the folder that built programs are kept in, below the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "irsa-stack" / "control-plane"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one build of a version run at a time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Report progress where it does not mix with the result."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
