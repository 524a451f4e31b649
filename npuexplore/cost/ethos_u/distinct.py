"""Prices of commands for many plans: worked out once for each distinct size of a layer, then spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.blocks import Blocks
from npuexplore.cost.ethos_u.commands import Products, blocks_of
from npuexplore.cost.ethos_u.lowering import Command
from npuexplore.cost.ethos_u.pricing import Placement, Priced, Sizes, price, products_of
from npuexplore.cost.ethos_u.slices import over_arrays
from npuexplore.cost.ethos_u.streams import Stream
from npuexplore.cost.states import distinct_rows
from npuexplore.hardware.ethos_u import EthosU

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Record = TypeVar("Record", Products, Blocks)


@dataclass(frozen=True)
class DistinctSizes:
    """The distinct sizes of a layer among P plans."""

    sizes: Sizes
    """(D,)"""
    rows: NDArray[np.intp]
    """(P,) which of them a plan has."""
    known: dict[object, Priced] = field(default_factory=dict)
    """What was priced already."""

    def price(
        self, engine: EthosU, command: Command, placement: Placement, *, blocks: Blocks | None = None
    ) -> Priced:
        """A command's price for the distinct sizes; blocks : of a product."""
        where = tuple(placement.tensors.items())
        key = (command, where, placement.weights, placement.staging)
        if key not in self.known:
            self.known[key] = price(engine, command, self.sizes, placement, blocks=blocks)
        return self.known[key]

    def spread(self, values: Counts) -> Counts:
        """(D,) values as (P,) ones; numbers that hold for all stay as they are."""
        return values.take(self.rows) if values.ndim else values

    def spread_all(self, values: Mapping[str, Counts]) -> dict[str, Counts]:
        """A mapping of (D,) values as (P,) ones."""
        return {name: self.spread(each) for name, each in values.items()}

    def with_two_four(self, chosen: Flags) -> DistinctSizes:
        """The same plans, those `chosen` (P,) with weights in the 2:4 format."""
        if not chosen.any():
            return self
        every = {
            name: getattr(self.sizes, name)[self.rows] for name in ("inputs", "units", "activation_bytes")
        }
        return distinct_sizes(replace(self.sizes, **every, two_four=chosen))


def distinct_sizes(sizes: Sizes) -> DistinctSizes:
    """The distinct ones of (P,) sizes."""
    inputs, units, activation_bytes, two_four = np.broadcast_arrays(
        sizes.inputs, sizes.units, sizes.activation_bytes, sizes.two_four
    )
    first, rows = distinct_rows([inputs, units, activation_bytes, two_four])
    return DistinctSizes(
        replace(
            sizes,
            inputs=inputs[first],
            units=units[first],
            activation_bytes=activation_bytes[first],
            two_four=two_four[first],
        ),
        rows,
    )


@dataclass(frozen=True)
class PricedProducts:
    """One product command of a layer of P plans."""

    engine: EthosU
    command: Command
    distinct: DistinctSizes

    @cached_property
    def _blocks(self) -> Blocks:
        return blocks_of(self.engine, products_of(self.engine, self.command, self.distinct.sizes))

    @cached_property
    def blocks(self) -> Blocks:
        """Of the P plans."""
        return self._spread(self._blocks)

    @cached_property
    def products(self) -> Products:
        """Of the P plans."""
        return self._spread(products_of(self.engine, self.command, self.distinct.sizes))

    def npu_cycles(self, placement: Placement, *, command: Command | None = None) -> Counts:
        """(P,) of the whole operator."""
        return self.distinct.spread(self._priced(placement, command).cycles.npu)

    def slack_cycles(self, placement: Placement) -> Counts:
        """(P,) of the operator as the compiler plans with it: blocks as they are, no 2:4 rate."""
        sizes = self.distinct.sizes
        if not sizes.two_four.any():
            return self.npu_cycles(placement)
        plain = replace(sizes, two_four=np.zeros_like(sizes.two_four))
        priced = price(self.engine, self.command, plain, placement, blocks=self._blocks)
        return self.distinct.spread(priced.cycles.npu)

    def streams(self, placement: Placement) -> list[Stream]:
        """Of feature maps, (P,)."""
        found = self._priced(placement, None).streams
        return [replace(stream, moved_bytes=self.distinct.spread(stream.moved_bytes)) for stream in found]

    def _priced(self, placement: Placement, command: Command | None) -> Priced:
        return self.distinct.price(self.engine, command or self.command, placement, blocks=self._blocks)

    def _spread(self, record: Record) -> Record:
        return replace(record, **over_arrays(record, self.distinct.spread))
