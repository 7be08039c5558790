"""Telling systemd how the service is (sd_notify(3)): a datagram of `KEY=value` lines to the socket that it names.

The protocol is documented as stable and this is all of it; the packages that wrap it are larger than it, or need a C library.
"""

import os
import socket
import time
from collections.abc import Mapping


def notify(environment: Mapping[str, str] = os.environ, **state: str) -> bool:
    """Send the state, for instance `READY="1"`; False when no service manager listens."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    lines = "\n".join(f"{key}={value}" for key, value in state.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(lines.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:  # nobody must stop guarding because the manager is away
            return False
    return True


def reloading(environment: Mapping[str, str] = os.environ) -> bool:
    """Say that a reload begins; `READY=1` ends it."""
    return notify(environment, RELOADING="1", MONOTONIC_USEC=str(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000))


def watchdog_interval(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which systemd wants a sign of life; None when it wants none."""
    micros = environment.get("WATCHDOG_USEC", "")
    mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(micros) / 1e6 if micros.isdigit() and mine else None
