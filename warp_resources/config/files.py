"""Reads a YAML or JSON file into a tree, refusing keys that occur twice."""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from warp_resources.config.aliases import Tree
from warp_resources.errors import ConfigurationError

_MERGE_TAG = "tag:yaml.org,2002:merge"


class _Repeated(Exception):
    """A mapping has a key twice."""


class _Loader(yaml.SafeLoader):
    """YAML's safe types, and an error where a mapping has a key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE_TAG]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise _Repeated(f"the key {key!r} twice in one mapping, near line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def read_tree(path: Path) -> Tree:
    """What a configuration file says: JSON where its name ends so, else YAML.

    Raises:
        ConfigurationError: it cannot be read; the message holds no text of the file but its keys.
    """
    text, problem = _read_text(path)
    tree: object = None
    if not problem:
        tree, problem = _parse_json(text) if path.suffix.lower() == ".json" else _parse_yaml(text)
    if not problem and tree is not None and not isinstance(tree, dict):
        problem = "no mapping of keys at its top"
    # Raised here, outside of the handlers: the parsers' own errors quote the file, secrets included.
    if problem:
        raise ConfigurationError(f"The configuration file {path} has {problem}", remedy="Correct the file")
    return tree if isinstance(tree, dict) else {}


def _read_text(path: Path) -> tuple[str, str]:
    try:
        return path.read_text(encoding="utf-8-sig"), ""
    except FileNotFoundError:
        pass
    except OSError as error:
        return "", f"no readable text ({error.strerror})"
    except UnicodeDecodeError as error:
        return "", f"a byte at offset {error.start} that is not UTF-8"
    raise ConfigurationError(
        f"There is no configuration file {path}",
        remedy="Make one with `cartridge-warp init`, or name yours with --config or CARTRIDGE_WARP_CONFIG",
    )


def _parse_yaml(text: str) -> tuple[object, str]:
    try:
        return yaml.load(text, _Loader), ""
    except _Repeated as error:
        return None, str(error)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        return None, f"no valid YAML{place} (a text that holds : # * & ! % @ or braces needs quotes)"
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None, "no valid YAML (a value that looks like a date or number needs quotes)"


def _parse_json(text: str) -> tuple[object, str]:
    try:
        return json.loads(text, object_pairs_hook=_distinct), ""
    except _Repeated as error:
        return None, str(error)
    except json.JSONDecodeError as error:
        return None, f"no valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        return None, "no valid JSON: it is nested too deeply"


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _Repeated(f"the key {key!r} twice in one mapping")
        result[key] = value
    return result
