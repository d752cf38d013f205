"""The databases of the configuration as resources that any asset can take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from warp_resources.config import WarpConfig, find_file
from warp_resources.connectors.interfaces import Destination, Source, StateStore
from warp_resources.pipeline.options import open_destination, open_source, open_state


class _Configured(dg.ConfigurableResource[object]):
    """Reads the configuration when it is used, so that no secret is part of a definition."""

    config_file: str | None = None
    """Default: what CARTRIDGE_WARP_CONFIG names, or ``warp.yaml``."""

    def config(self) -> WarpConfig:
        """The configuration, checked."""
        return WarpConfig.from_file(find_file(self.config_file))


class SourceResource(_Configured):
    """Where rows and changes come from.

    ``with source.open() as its: its.tables(scope)``: see ``warp_resources.connectors.interfaces.Source``.
    """

    @contextmanager
    def open(self) -> Iterator[Source]:
        """The source; it connects when it is first used."""
        opened = open_source(self.config())
        try:
            yield opened
        finally:
            opened.close()


class DestinationResource(_Configured):
    """Where rows land, with the metadata of every table.

    ``with destination.open() as its: its.row_count(table)``: see ``interfaces.Destination``.
    """

    @contextmanager
    def open(self) -> Iterator[Destination]:
        """The destination; it connects when it is first used."""
        opened = open_destination(self.config())
        try:
            yield opened
        finally:
            opened.close()


class StateResource(_Configured):
    """Where leases and mandates live: who is at work on what.

    ``with state.open() as its: its.lease_holder("stream:shop")``: see ``interfaces.StateStore``.
    """

    @contextmanager
    def open(self) -> Iterator[StateStore]:
        """The state store, on a connection of its own."""
        config = self.config()
        destination = open_destination(config)
        try:
            store = open_state(config, destination)
            try:
                yield store
            finally:
                store.close()
        finally:
            destination.close()
