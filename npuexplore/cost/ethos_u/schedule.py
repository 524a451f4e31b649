"""A whole network on an Ethos-U, command by command in the order of Arm's compiler Vela.

The compiler walks back from the network's output, so that what the last recurrent layers need of their own
state comes first. Operators follow each other without overlap, but for weights, and tables of look-ups,
that are fetched under the operator before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.arena import Flow, Use, layer_flow, named_flow
from npuexplore.cost.ethos_u.buffering import LARGEST_BUFFER_BYTES, Before, Staged, decide
from npuexplore.cost.ethos_u.distinct import DistinctSizes, PricedProducts, distinct_sizes
from npuexplore.cost.ethos_u.formats import FAST, TWO_FOUR, Candidates, choose_format
from npuexplore.cost.ethos_u.lowering import (
    TABLE_BYTES,
    Command,
    Fused,
    Tensor,
    layer_commands,
)
from npuexplore.cost.ethos_u.placement import (
    final_placement,
    planned_placement,
    stages_weights,
    with_operands_at_home,
)
from npuexplore.cost.ethos_u.pricing import Placement, Sizes
from npuexplore.cost.ethos_u.resident import AHEAD_STEPS, alive_bytes, constant_bytes
from npuexplore.cost.ethos_u.slices import Reader, SliceBytes, Work
from npuexplore.cost.ethos_u.staging import transfer_cycles
from npuexplore.cost.ethos_u.streams import Stream, access_cycles, channel_rate, moved_bytes, whole_quotient
from npuexplore.cost.traffic import Route
from npuexplore.hardware.ethos_u import EthosU

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

NETWORK = Tensor(wide=False, bricks=False, place="network")
BETWEEN = Tensor(wide=False, bricks=True, place="scratch")
TABLE_BYTES_PER_CYCLE = 1
"""The compiler writes tables of look-ups at this rate."""


@dataclass(frozen=True)
class Layer:
    """A layer of the network to be scheduled."""

    kind: str
    sizes: Sizes
    fused: Fused = "none"

    @cached_property
    def distinct(self) -> DistinctSizes:
        """Its sizes, each once: what does not depend on weights is worked out for these."""
        return distinct_sizes(self.sizes)


@dataclass(frozen=True)
class Stored:
    """What is known of the stored weights of one product."""

    candidates: Candidates | None
    """None where there is only the default format."""
    slice_bytes: Callable[[Counts], SliceBytes]
    """Sizes of slices for given (P,) indices into FORMATS."""
    key: Hashable
    """Equal for products of one layer whose weights are taken to be alike."""
    only_grows: bool = False
    """Whether slices never take fewer bytes than the whole."""


Storage = Callable[[int, Command], Stored]
"""The stored weights of a product command of a layer."""


@dataclass(frozen=True)
class Step:
    """One command at its place in the network's order."""

    layer: int
    command: Command
    flow: Flow
    source: str


@dataclass(frozen=True)
class Cost:
    """What a step takes; arrays are (P,)."""

    step: Step
    npu_cycles: Counts
    op_cycles: Counts
    memory_cycles: Mapping[str, Counts]
    memory_bytes: Mapping[str, Counts]
    staged: Staged | None
    """Of a product."""
    format_index: Counts | None
    """Of a product; an index into FORMATS."""


@dataclass(frozen=True)
class Schedule:
    """All steps of a network, and what its memories hold at their fullest."""

    costs: tuple[Cost, ...]
    alive_bytes: Mapping[str, Counts]
    """(P,) tensors and staged weights, by memory."""
    constant_bytes: Counts
    """(P,) encoded weights, biases, scales and tables."""


def network_steps(engine: EthosU, layers: Sequence[Layer], route: Route) -> list[Step]:
    """The commands of all layers in the order in which they run."""
    listed = [_layer_steps(engine, layers, route, index) for index in range(len(layers))]
    ahead = [index for index, layer in enumerate(layers) if layer.kind in ("lstm", "gru")]
    first = [step for index in reversed(ahead) for step in listed[index][:AHEAD_STEPS]]
    rest = [steps[AHEAD_STEPS:] if index in ahead else steps for index, steps in enumerate(listed)]
    return [*first, *(step for steps in rest for step in steps)]


def _layer_steps(engine: EthosU, layers: Sequence[Layer], route: Route, index: int) -> list[Step]:
    first, last = index == 0, index == len(layers) - 1
    return layer_steps(engine, route, layers[index], index=index, first=first, last=last)


def layer_steps(
    engine: EthosU, route: Route, layer: Layer, *, index: int, first: bool, last: bool
) -> list[Step]:
    """The commands of one layer; first, last : whether it takes and gives the network's own tensors."""
    commands = layer_commands(
        engine,
        layer.kind,
        source=NETWORK if first else BETWEEN,
        target=NETWORK if last else BETWEEN,
        fused=layer.fused,
        wide=bool(np.all(layer.sizes.activation_bytes > 1)),
    )
    if first and route.network_io != route.activations:
        commands = with_operands_at_home(commands)
    source, target = f"edge {index}", f"edge {index + 1}"
    chains = any(command.chained for command in commands)
    flows = layer_flow(layer.kind, chains=chains, commands=len(commands))
    return [
        Step(index, command, named_flow(flow, layer=str(index), source=source, target=target), source)
        for command, flow in zip(commands, flows, strict=True)
        if command.kind != "folded"
    ]


def schedule(engine: EthosU, route: Route, layers: Sequence[Layer], storage: Storage) -> Schedule:
    """Costs of every step of P plans of a network."""
    costs = step_costs(engine, route, layers, network_steps(engine, layers, route), storage)
    staged = [cost.staged for cost in costs]
    return Schedule(
        costs=costs,
        alive_bytes=alive_bytes(route, [_use(layers, cost.step) for cost in costs], staged),
        constant_bytes=constant_bytes(engine, [layer.kind for layer in layers], staged),
    )


def step_costs(
    engine: EthosU,
    route: Route,
    layers: Sequence[Layer],
    steps: Sequence[Step],
    storage: Storage,
    *,
    before: Before | None = None,
) -> tuple[Cost, ...]:
    """Costs of the given steps, equal commands after the same one once; `before` runs before the first."""
    costs: list[Cost] = []
    known: dict[object, Cost] = {}
    for plan in _plan(engine, route, layers, steps, storage, before=before):
        key = (plan.step.layer, plan.step.command, id(plan.after), id(before))
        if key not in known:
            known[key] = _cost(engine, route, layers[plan.step.layer], plan, before)
        costs.append(replace(known[key], step=plan.step))
        before = plan.after
    return tuple(costs)


def _use(layers: Sequence[Layer], step: Step) -> Use:
    return Use(step.command, step.flow, step.source, layers[step.layer].sizes)


@dataclass(frozen=True)
class _Plan:
    """A step with what was decided for it while every tensor was at home."""

    step: Step
    after: Before
    product: PricedProducts | None = None
    staged: Staged | None = None
    format_index: Counts | None = None


def _plan(
    engine: EthosU,
    route: Route,
    layers: Sequence[Layer],
    steps: Sequence[Step],
    storage: Storage,
    *,
    before: Before | None,
) -> list[_Plan]:
    """Formats, slices and slack of every step; equal commands after the same one share them."""
    home = planned_placement(route)
    reader = _reader(engine, route)
    plans: list[_Plan] = []
    producers: dict[str, str] = {}
    known: dict[object, _Plan] = {}
    for step in steps:
        stored = storage(step.layer, step.command) if step.command.kind == "product" else None
        movable = producers.get(step.flow.reads[0], "copy") != "copy"
        key = (step.layer, step.command, *((stored.key, movable, id(before)) if stored else ()))
        if key in known:
            plan = replace(known[key], step=step)
        elif stored is not None:
            product = PricedProducts(engine, step.command, layers[step.layer].distinct)
            plan = _product_plan(reader, home, product, step, before, stored, movable=movable)
        else:
            distinct = layers[step.layer].distinct
            cycles = distinct.spread(distinct.price(engine, step.command, home).cycles.npu)
            plan = _Plan(step, Before(cycles, np.full_like(cycles, reader.limit_bytes)))
        known[key] = plan
        plans.append(plan)
        producers.setdefault(step.flow.writes, step.command.kind)
        before = plan.after
    return plans


def _reader(engine: EthosU, route: Route) -> Reader:
    staging = route.staging if stages_weights(route) and route.staging is not None else route.weights
    limit = route.arena_limit_bytes if route.arena_limit_bytes is not None else LARGEST_BUFFER_BYTES
    return Reader(
        engine=engine,
        source=route.memories[route.weights],
        staging=route.memories[staging],
        limit_bytes=limit,
    )


def _product_plan(
    reader: Reader,
    home: Placement,
    plain: PricedProducts,
    step: Step,
    before: Before | None,
    stored: Stored,
    *,
    movable: bool,
) -> _Plan:
    """Format and slices of one product; plain : with weights in no particular format."""
    engine, product = reader.engine, plain
    index = np.zeros(plain.distinct.rows.shape, np.int64)
    if stored.candidates is not None:
        sparse = plain.distinct.with_two_four(np.ones(index.shape, np.bool_))
        index = choose_format(
            engine,
            stored.candidates,
            memory=reader.source,
            plain_cycles=plain.npu_cycles(home),
            two_four_cycles=replace(plain, distinct=sparse).npu_cycles(home),
        )
        product = replace(plain, distinct=plain.distinct.with_two_four(np.asarray(index & TWO_FOUR > 0)))
    work = Work(
        products=product.products,
        blocks=product.blocks,
        input_memory=home.memories[home.of(step.command.reads[0])],
        output_memory=home.memories[home.of(NETWORK)],
        input_movable=movable,
        fast=np.asarray(index & FAST > 0),
        slice_bytes=stored.slice_bytes(index),
        only_grows=stored.only_grows,
    )
    staged = decide(reader, work, before, unstaged_cycles=product.slack_cycles(home))
    return _Plan(step, staged.after, product, staged, index)


def _cost(engine: EthosU, route: Route, layer: Layer, plan: _Plan, before: Before | None) -> Cost:
    """A step where everything lies in the end."""
    slack = np.int64(0) if before is None else before.slack_cycles
    if plan.staged is None:
        return _glue_cost(engine, route, layer, plan, slack)
    staged, fast = plan.staged, np.asarray(plan.format_index) & FAST > 0
    in_place = _product_cost(engine, route, plan, staged, slack, fast, copied=False)
    if not staged.chosen.any():
        return in_place
    copied = _product_cost(engine, route, plan, staged, slack, fast, copied=True)
    return _either(staged.chosen, copied, in_place)


def _glue_cost(engine: EthosU, route: Route, layer: Layer, plan: _Plan, slack: Counts | np.int64) -> Cost:
    """A step without weights; slack : of the step before, under which a table is fetched."""
    distinct, placement = layer.distinct, final_placement(route, staged=False)
    priced = distinct.price(engine, plan.step.command, placement)
    cost = _bound(engine, plan, placement, priced.cycles.npu, priced.streams)
    npu, memory = distinct.spread(cost.npu_cycles), distinct.spread_all(cost.memory_cycles)
    if plan.step.command.loads_table:
        npu = npu + np.maximum(_table_cycles(engine, route) - slack, 0)
    return replace(
        cost,
        npu_cycles=npu,
        op_cycles=np.asarray(np.maximum.reduce([npu, *memory.values()])),
        memory_cycles=memory,
        memory_bytes=distinct.spread_all(cost.memory_bytes),
    )


def _product_cost(
    engine: EthosU,
    route: Route,
    plan: _Plan,
    staged: Staged,
    slack: Counts | np.int64,
    fast: Flags,
    *,
    copied: bool,
) -> Cost:
    assert plan.product is not None
    placement = final_placement(route, staged=copied)
    weights, npu = staged.weight_bytes, _product_cycles(plan.product, placement)
    streams = plan.product.streams(placement)
    scales = Stream(placement.weights, "scale", staged.scale_bytes)
    if placement.staging is None:
        in_place = [Stream(placement.weights, "weight", weights), scales]
        return _bound(engine, plan, placement, npu, streams + in_place)
    source, target = (placement.memories[name] for name in (placement.weights, placement.staging))
    first = transfer_cycles(engine, staged.first_bytes, source=source, target=target)
    waiting = staged.full_transfer_cycles - slack + staged.last_slice_cycles
    npu = np.maximum(waiting, npu + np.maximum(first - slack, 0))
    moved = np.maximum(weights - np.where(staged.prefetched, staged.first_bytes, 0), 0)
    streams += [
        Stream(placement.weights, "mem2mem", moved),
        Stream(placement.staging, "write", moved),
        Stream(placement.staging, "weight", np.where(fast, 0, weights)),
        Stream(placement.staging, "fast_weight", np.where(fast, weights, 0)),
        scales,
    ]
    return _bound(engine, plan, placement, npu, streams)


def _product_cycles(product: PricedProducts, placement: Placement) -> Counts:
    """(P,) where everything lies in the end; what a chain hands on is still taken to be at home."""
    command = product.command
    if not command.chained or command.writes is None:
        return product.npu_cycles(placement)
    at_home = replace(command, writes=replace(command.writes, place="network"))
    return product.npu_cycles(placement, command=at_home)


def _bound(engine: EthosU, plan: _Plan, placement: Placement, npu: Counts, streams: list[Stream]) -> Cost:
    """The work or the slowest memory."""
    memory = access_cycles(engine, streams, placement.memories)
    return Cost(
        step=plan.step,
        npu_cycles=npu,
        op_cycles=np.asarray(np.maximum.reduce([npu, *memory.values()])),
        memory_cycles=memory,
        memory_bytes=moved_bytes(streams),
        staged=plan.staged,
        format_index=plan.format_index,
    )


def _either(chosen: Flags, copied: Cost, in_place: Cost) -> Cost:
    return replace(
        in_place,
        npu_cycles=np.where(chosen, copied.npu_cycles, in_place.npu_cycles),
        op_cycles=np.where(chosen, copied.op_cycles, in_place.op_cycles),
        memory_cycles=_either_memory(chosen, copied.memory_cycles, in_place.memory_cycles),
        memory_bytes=_either_memory(chosen, copied.memory_bytes, in_place.memory_bytes),
    )


def _either_memory(
    chosen: Flags, copied: Mapping[str, Counts], in_place: Mapping[str, Counts]
) -> dict[str, Counts]:
    none = np.zeros(chosen.shape, np.int64)
    names = dict.fromkeys([*copied, *in_place])
    return {name: np.where(chosen, copied.get(name, none), in_place.get(name, none)) for name in names}


def _table_cycles(engine: EthosU, route: Route) -> int:
    """Cycles of fetching the table of a look-up."""
    memory = route.memories[route.weights]
    rate = channel_rate(engine, memory, "mem2mem")
    read = int(whole_quotient(np.array(TABLE_BYTES), rate)) + memory.read_latency_cycles
    return max(read, TABLE_BYTES // TABLE_BYTES_PER_CYCLE)
