"""From a separable model to a chain: only the figures that an objective or a limit is about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.choices import LayerTable
from npuexplore.cost.footprint import fixed_bytes, fixed_flash_bytes
from npuexplore.search.engines.chain import Chain, Figure, Floats, Link, Peak, greatest_peak
from npuexplore.search.engines.look_up import ENERGIES, LOSS
from npuexplore.search.engines.separable import SeparableModel

ROUNDING_FRAC = 1e-9
"""Limits are taken this much wider while searching; every design found is then checked against them."""

TIMES = ENERGIES | {"cycles", "latency_ms", "mean_latency_ms"}
SRAM = "sram_bytes"


def chain_of(model: SeparableModel) -> Chain:
    """The model's layers as links. The peak of SRAM is among them where it is minimised or can be too great.

    Skipped frames change no sum of layers, only how sums count in the end: one chain serves every rate.
    """
    chain = _chain(model)
    peak = chain.peak
    if peak is not None and SRAM not in model.objectives and greatest_peak(chain) <= peak.limit:
        constraints = tuple(limit for limit in model.constraints if limit.name != SRAM)
        return _chain(replace(model, constraints=constraints))
    return chain


def _chain(model: SeparableModel) -> Chain:
    limits = {limit.name: limit.limit * (1.0 + ROUNDING_FRAC) for limit in model.constraints}
    figures = _figures(model, limits)
    peak = _peak(model, limits, [figure.name for figure in figures])
    links = [_link(model, layer, figures, peak) for layer in range(len(model.layers))]
    return Chain(tuple(links), figures, peak)


def _figures(model: SeparableModel, limits: dict[str, float]) -> tuple[Figure, ...]:
    part, wanted = model.tables.part, set(model.objectives)
    cycles = min(
        limits.get("cycles", np.inf), limits.get("latency_ms", np.inf) * part.profile.clock_hz / 1000.0
    )
    flash = limits.get("flash_bytes", np.inf)
    weights = limits.get("engine_weight_bytes", np.inf)
    loss = limits.get(LOSS, np.inf)
    losses, front_end, runtime = model.losses, part.front_end, part.profile.runtime
    found = [
        Figure("cycles", front_end.engine_cycles, limit=cycles, wanted=not wanted.isdisjoint(TIMES)),
        Figure("energy_uj", wanted=not wanted.isdisjoint(ENERGIES)),
        Figure(
            "flash_bytes", fixed_flash_bytes(front_end, runtime), limit=flash, wanted="flash_bytes" in wanted
        ),
        Figure("always_bytes", fixed_bytes(front_end, runtime), wanted=SRAM in wanted or SRAM in limits),
        Figure("engine_weight_bytes", limit=weights, wanted=False),
        Figure(
            LOSS,
            losses.constant_db,
            absolute=True,
            limit=loss,
            strictest=loss - float(losses.of_rates.max()),
            wanted=LOSS in wanted,
        ),
    ]
    return tuple(each for each in found if each.wanted or each.limit < np.inf)


def _peak(model: SeparableModel, limits: dict[str, float], names: list[str]) -> Peak | None:
    if "always_bytes" not in names:
        return None
    return Peak(
        start=float(model.tables.part.front_end.work_bytes),
        outlet=model.tables.mask_bytes.astype(np.float64),
        shares=not model.tables.edges_in_own,
        on_top=names.index("always_bytes"),
        limit=limits.get(SRAM, np.inf),
    )


def _link(model: SeparableModel, layer: int, figures: tuple[Figure, ...], peak: Peak | None) -> Link:
    table = model.tables.layers[layer]
    shape = (-1, len(model.layers[layer].plans))
    state = table.hand_over // shape[1] if layer else np.zeros(1, np.intp)
    adds = [_figure_of(model, layer, table, figure.name).reshape(shape) for figure in figures]
    alive = into = None
    if peak is not None:
        into = table.edge_bytes.reshape(shape).astype(np.float64)
        alive = _as_floats(table.own_bytes.reshape(shape)) + (into if peak.shares else 0.0)
    return Link(np.asarray(state, np.intp), np.stack(adds, axis=2), alive, into)


def _figure_of(model: SeparableModel, layer: int, table: LayerTable, name: str) -> Floats:
    """(rows,) float64"""
    if name == LOSS:
        own = model.losses.of_layers[layer]
        return np.tile(own, table.cycles.size // own.size)
    if name == "engine_weight_bytes":
        return _as_floats(table.weight_bytes * bool(model.tables.part.on_engine[layer]))
    return _as_floats(getattr(table, name))


def _as_floats(values: NDArray[np.number]) -> Floats:
    """Exact for counts below 2**53."""
    return np.asarray(values, np.float64)
