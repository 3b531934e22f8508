"""Addresses and ports of this machine only, so that runs side by side do not meet."""

import contextlib
import secrets
import socket

_ATTEMPTS = 50


def free_address(*ports: int) -> str:
    """Return a random address of 127.77.0.0/16 on which *ports* are free.

    Raises:
        RuntimeError: none was found, or the ports need root.
    """
    problem: OSError | None = None
    for _ in range(_ATTEMPTS):
        address = f"127.77.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
        try:
            with contextlib.ExitStack() as stack:
                for port in ports:
                    stack.enter_context(socket.socket()).bind((address, port))
        except OSError as error:
            problem = error
        else:
            return address
    raise RuntimeError(f"no loopback address has ports {ports} free: {problem}")


def free_port(address: str) -> int:
    """Return a port that is free at *address*."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
