"""The files that ``init`` composes can be read back."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from warp_resources.cli.dotenv import read_dotenv
from warp_resources.cli.init_text import Inspected, env_file, warp_yaml
from warp_resources.cli.written import DAGSTER, WORKSPACE, text_of
from warp_resources.config import WarpConfig
from warp_resources.connectors.interfaces import SourceTable

ROOT = Path(__file__).parents[3]
ODD = [
    "users",
    "Odd Name",
    "yes",
    "1st",
    "what?*",
    'a"b',
    "日本",
    "a: b",
    "null",
    "😀",
    "${X}",
    "line\u2028end",
    "a\x7fb",
]


@pytest.mark.parametrize("reason", [None, "MongoDB runs standalone"])
def test_the_configuration_names_every_table_that_was_found(tmp_path: Path, reason: str | None) -> None:
    # SPEC: L5
    tables = [SourceTable(name, 10, 100) for name in ODD]
    text = warp_yaml(Inspected("memory", "memory", "no", "my shop", tables, reason))
    file = tmp_path / "warp.yaml"
    file.write_text(text, encoding="utf-8")
    environ = read_env(tmp_path)
    config = WarpConfig.from_file(file, environ=environ)
    [schema] = config.schemas
    assert (schema.name, schema.mode) == ("my shop", "stream" if reason is None else "batch")
    assert config.source.database == "no"
    wanted = [name.replace("?", "[?]").replace("*", "[*]") for name in ODD]
    assert list(schema.table_whitelist) == wanted


def read_env(folder: Path) -> dict[str, str]:
    file = folder / ".env"
    file.write_text(env_file(folder, "mongodb://me:p$w@h/d?x=1", "postgresql://h/d"), encoding="utf-8")
    found = read_dotenv(file)
    assert found["DAGSTER_HOME"] == str(folder.resolve())
    assert found["WARP_SOURCE_URL"] == "mongodb://me:p$w@h/d?x=1"
    return found


@pytest.mark.parametrize(
    ("uri", "read"),
    [
        ("mongodb://me:it's@h/d", "mongodb://me:it's@h/d"),
        ("mongodb://me:a\\b'\"@h/d", "mongodb://me:a\\b'\"@h/d"),
        ("mongodb://me:a${HOME}b@h/d", "mongodb://me:a%24{HOME}b@h/d"),
    ],
)
def test_the_environment_file_reads_back_what_was_written(tmp_path: Path, uri: str, read: str) -> None:
    file = tmp_path / ".env"
    file.write_text(env_file(tmp_path, uri, uri), encoding="utf-8")
    assert read_dotenv(file)["WARP_SOURCE_URL"] == read


@pytest.mark.parametrize("count", [0, 500])
def test_none_or_too_many_tables_are_not_listed(count: int) -> None:
    tables = [SourceTable(f"t{n}", 1, 1) for n in range(count)]
    text = warp_yaml(Inspected("memory", "memory", "d", "s", tables))
    assert yaml.safe_load(text)["schemas"] == [{"name": "s", "mode": "stream"}]


@pytest.mark.parametrize("name", [DAGSTER, WORKSPACE])
def test_the_written_files_are_those_of_this_repository(name: str) -> None:
    assert text_of(name) == (ROOT / name).read_text(encoding="utf-8")
