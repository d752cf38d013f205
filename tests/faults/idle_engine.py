"""An engine that polls hundreds of times faster than others: ``python -m tests.faults.idle_engine SCHEMA``."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta

from warp_resources.config import WarpConfig, find_file
from warp_resources.pipeline.engine import STREAM, Unit
from warp_resources.pipeline.replicate import Request
from warp_resources.pipeline.stopping import stop_on_signals
from warp_resources.pipeline.unit_process import serve
from warp_resources.telemetry.logs import configure_logging

POLL = timedelta(milliseconds=1)
BACKOFF_SECONDS = 0.2


def main() -> None:
    stop = threading.Event()
    stop_on_signals(stop.set)
    config = WarpConfig.from_file(find_file())
    impatient = config.error_handling.model_copy(update={"max_backoff_seconds": BACKOFF_SECONDS})
    config = config.model_copy(update={"error_handling": impatient})
    configure_logging(config.logging)
    serve(Unit(config, sys.argv[1], STREAM), Request(once=False, poll=POLL), stop)


if __name__ == "__main__":
    main()
