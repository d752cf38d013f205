"""What the code location shows where there is no configuration: an asset that says how to make one."""

from __future__ import annotations

import dagster as dg

from warp_resources.errors import ConfigurationError

KEY = dg.AssetKey(["cartridge_warp", "no_configuration"])

_TEXT = """
**{reason}**

1. Write a configuration: `cartridge-warp init --source mongodb://... --destination postgresql://...` inspects the
   source and writes a commented `warp.yaml`.
2. Start Dagster in that folder, or name the file: `export CARTRIDGE_WARP_CONFIG=/path/to/warp.yaml`.
3. Reload this code location. Every table becomes an asset.
"""


def guide(error: ConfigurationError) -> dg.AssetSpec:
    """An asset that nothing materialises, described by what is to be done."""
    return dg.AssetSpec(KEY, group_name="cartridge_warp", description=_TEXT.format(reason=error.message).strip())
