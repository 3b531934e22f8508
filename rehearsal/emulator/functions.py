"""Lambda functions run as on AWS: own `/tmp`, layers in `/opt`, AWS's host names, no endpoint.

ministack starts a function's worker as `<program> <script>`; the program becomes
`function_sandbox.sh`, which enters a mount namespace and then runs the interpreter. Nothing
outside the function changes.
"""

import os
import shutil
import sys
from pathlib import Path

from ministack.core import lambda_runtime

from rehearsal.emulator.settings import Settings

SANDBOX = Path(__file__).with_name("function_sandbox.sh")

_detect = lambda_runtime._detect_runtime_binary


def install(settings: Settings) -> None:
    """Put the sandbox before every interpreter.

    Python functions run on the rehearsal's own interpreter, whatever version they ask for: it has
    boto3, as the runtime does.
    """
    hosts = Path(settings.folder) / "hosts"
    hosts.write_text(
        "127.0.0.1 localhost\n" + "".join(f"{settings.address} {host}\n" for host in settings.hosts)
    )
    programs = Path(settings.folder) / "sandboxes"
    programs.mkdir(exist_ok=True)

    def detect(runtime: str) -> tuple[str, str]:
        program, script = _detect(runtime)
        found = shutil.which(program) if program else None
        if found is None:
            return program, script
        return str(_sandbox(programs, Path(found), hosts, settings)), script

    lambda_runtime._detect_runtime_binary = detect


def _sandbox(folder: Path, program: Path, hosts: Path, settings: Settings) -> Path:
    """Write the start script of an interpreter; the worker gets no other environment than AWS's."""
    variables = {
        "SANDBOX_PROGRAM": str(program),
        "SANDBOX_HOSTS": str(hosts),
        "SANDBOX_KEEP": ":".join([*settings.keep, sys.prefix, sys.base_prefix]),
        "SANDBOX_UNSHARE": "" if os.geteuid() == 0 else "--user --map-root-user",
    }
    script = folder / program.name
    exports = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    script.write_text(f'#!/bin/sh\n{exports}exec "{SANDBOX}" "$@"\n')
    script.chmod(0o755)
    return script
