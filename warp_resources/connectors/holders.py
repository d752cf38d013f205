"""Tells whether the process that holds a lease is still alive, as far as this host can know."""

from __future__ import annotations

import psutil

from warp_resources.model.positions import Holder

# Two readings of one process's start may differ by the resolution of the boot time.
_START_TOLERANCE_SECONDS = 1.0


def is_dead(holder: Holder, host: str) -> bool:
    """Whether a holder was a process of this ``host`` and has ended; its pid may belong to a later one by now."""
    if holder.host != host:
        return False
    try:
        process = psutil.Process(holder.pid)
        is_same = abs(process.create_time() - holder.started) < _START_TOLERANCE_SECONDS
        return not is_same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def described(holder: Holder) -> str:
    """A holder in a message."""
    label = f" ({holder.label})" if holder.label else ""
    return f"process {holder.pid} on {holder.host}{label}"
