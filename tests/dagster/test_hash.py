"""Tables that are compared whole at each sync, as Dagster runs and checks them."""

from __future__ import annotations

from dataclasses import replace

from tests.dagster.configurations import Site
from warp_assets.inspection import Inspection
from warp_resources.model.tables import TableId

VISITS = TableId("crm", "visits")


def made() -> Site:
    """A loaded table whose rows somebody has changed by hand, and a row that is gone at the source."""
    site = Site(
        {
            "name": "crm",
            "mode": "batch",
            "change_detection": {"strategy": "hash"},
            "tables": [{"name": "visits", "partitions": {"by": "key", "slices": 4}}],
        }
    )
    site.server.put("crm", "visits", *({"_id": number, "n": 0} for number in range(8)))
    site.sync()
    with site.destination.store.transaction() as draft:
        rows = draft.table(VISITS).rows
        for key, row in list(rows.items()):
            rows[key] = replace(row, values={**row.values, "n": 5})
    site.server.delete("crm", "visits", 0)
    return site


def test_the_partitions_of_a_compared_table_bring_their_slices_and_delete_nothing() -> None:
    # SPEC: X4 D7
    site = made()
    assert site.materialise("crm", "visits", "slice-01").success
    assert sorted(row["n"] for row in site.rows("crm", "visits").values()) == [0, 0, 5, 5, 5, 5, 5, 5]
    assert site.materialise("crm", "visits", "slice-00", "slice-03").success
    assert site.rows("crm", "visits") == {number: {"_id": number, "n": 0} for number in range(1, 8)}


def test_rows_too_many_of_a_compared_table_are_wrong_until_its_next_sync() -> None:
    # SPEC: X4 D4 R5
    site = made()
    with Inspection.opened(site.config, "crm") as inspection:
        found = inspection.rows_match(VISITS)
    assert (found.passed, found.is_severe) == (False, False)
    assert "0 missing, 7 different, 1 too many; the next sync" in found.text
    assert site.run_job("sync_crm").success
    with Inspection.opened(site.config, "crm") as inspection:
        assert inspection.rows_match(VISITS).passed
