"""What a container of the image starts, and whom its health check asks."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
METRICS, PAGES = "http://127.0.0.1:8080/health", "http://127.0.0.1:3000/server_info"


@pytest.mark.parametrize(
    "arguments, started",
    [
        (["run"], "cartridge-warp run"),
        (["--mode", "single"], "cartridge-warp --mode single"),
        (["resync", "--table", "shop.odd name"], "cartridge-warp resync --table shop.odd name"),
        (["dagster", "dev"], "dagster dev"),
        (["dagster-daemon", "run"], "dagster-daemon run"),
        (["dagster-webserver"], "dagster-webserver"),
    ],
)
def test_the_image_runs_dagster_as_it_is_and_all_else_as_ours(
    tmp_path: Path, arguments: list[str], started: str
) -> None:
    for name in ("cartridge-warp", "dagster", "dagster-daemon", "dagster-webserver"):
        (tmp_path / name).write_text('#!/bin/sh\necho "${0##*/} $*"\n')
        (tmp_path / name).chmod(0o755)
    command = ["/bin/sh", DEPLOY / "entry.sh", *arguments]
    done = subprocess.run(command, env={"PATH": f"{tmp_path}:/bin"}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == started


@pytest.mark.parametrize(
    "command, address",
    [
        ("/opt/warp/bin/python3 /opt/warp/bin/cartridge-warp run", METRICS),
        ("/opt/warp/bin/python3 /opt/warp/bin/cartridge-warp --mode single", METRICS),
        ("/opt/warp/bin/python3 /opt/warp/bin/cartridge-warp exporter", METRICS),
        ("/opt/warp/bin/python3 /opt/warp/bin/dagster dev", PAGES),
        ("/sbin/docker-init -- /usr/local/lib/cartridge-warp/entry.sh dagster dev", PAGES),
        ("/opt/warp/bin/python3 /opt/warp/bin/dagster-webserver -w workspace.yaml", PAGES),
        ("/opt/warp/bin/python3 /opt/warp/bin/dagster-daemon run", None),
        ("/opt/warp/bin/python3 /opt/warp/bin/dagster code-server start", None),
    ],
)
def test_the_health_check_asks_what_the_container_serves(command: str, address: str | None) -> None:
    spec = importlib.util.spec_from_file_location("health", DEPLOY / "health.py")
    assert spec is not None
    assert spec.loader is not None
    health = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(health)
    assert health.address(command.split(" ")) == address
