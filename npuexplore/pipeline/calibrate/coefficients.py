"""The figures of a Cortex-M profile that a calibration may set, and what tells each from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from npuexplore.errors import UsageError
from npuexplore.hardware.calibration import figure_at
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.profile import HardwareProfile


@dataclass(frozen=True)
class Coefficient:
    """One figure."""

    key: str
    """Dotted key of the profile."""
    words: str
    least: float
    most: float
    most_error_frac: float
    """Greatest standard error of one that is identified: of a ratio relative, of cycles of a layer of
    64x64."""
    wanted: str
    """The measurement that would tell it from the others."""

    @property
    def name(self) -> str:
        """The last word of the key."""
        return self.key.rpartition(".")[2]

    @property
    def is_ratio(self) -> bool:
        """Whether it multiplies cycles; else it adds some."""
        return self.name != "cycles_per_layer"

    def of(self, engine: CortexM) -> float:
        """What an engine has."""
        value = figure_at({"engine": engine}, self.key)
        assert value is not None
        return float(value)


MEMORY_WAIT = Coefficient(
    key="engine.memory_wait_ratio",
    words="memory wait",
    least=1.0,
    most=20.0,
    most_error_frac=0.1,
    wanted="a fully connected layer of 128x128",
)
PRODUCT = Coefficient(
    key="engine.ratios.product",
    words="dense products",
    least=0.01,
    most=100.0,
    most_error_frac=0.1,
    wanted="a fully connected layer of 256x256, which is little else than products",
)
PER_LAYER = Coefficient(
    key="engine.cycles_per_layer",
    words="calling a layer",
    least=0,
    most=1_000_000,
    most_error_frac=0.05,
    wanted="a fully connected layer under 64x64, such as 32x32, beside a large one",
)
ELEMENTWISE = Coefficient(
    key="engine.ratios.elementwise",
    words="activations and element-wise work",
    least=0.01,
    most=100.0,
    most_error_frac=0.1,
    wanted="an LSTM with few inputs, such as 16 inputs and 32 units",
)
SPARSE = Coefficient(
    key="engine.ratios.sparse",
    words="sparse products",
    least=0.01,
    most=100.0,
    most_error_frac=0.1,
    wanted="a sparse layer, such as 128x128 in blocks of 4x16 with 80 % zeros",
)
BY_DEFAULT = (MEMORY_WAIT, PER_LAYER, ELEMENTWISE, SPARSE)
"""Tried where nobody names others; the first is always fitted."""
ALL = (*BY_DEFAULT, PRODUCT)

Values = Mapping[Coefficient, float]


def named_coefficients(text: str) -> tuple[Coefficient, ...]:
    """The coefficients of `memory_wait_ratio,elementwise`, by last word or whole key. Raises UsageError."""
    found: list[Coefficient] = []
    for word in (part.strip() for part in text.split(",")):
        meant = [each for each in ALL if word in (each.name, each.key, each.key.removeprefix("engine."))]
        if not meant or meant[0] in found:
            allowed = ", ".join(each.name for each in ALL)
            raise UsageError(
                f"--coefficients {text!r}: {word!r} is unknown or given twice; allowed: {allowed}"
            )
        found.append(meant[0])
    return tuple(found)


def engine_of(profile: HardwareProfile) -> CortexM:
    """The engine of a profile that can be calibrated; raises UsageError for one that cannot."""
    engine = profile.engine
    if not isinstance(engine, CortexM):
        raise UsageError(
            f"profile {profile.name}: its engine is a {engine.family}, whose cycles follow from its array "
            "and memories, with no factor left to fit; calibrate takes Cortex-M profiles, so correct the "
            "figures of this one from its datasheet instead"
        )
    return engine


def with_values(engine: CortexM, values: Values) -> CortexM:
    """The engine with some coefficients set; cycles are whole. The values are not checked."""
    edited: BaseModel = engine
    for coefficient, value in values.items():
        value = value if coefficient.is_ratio else round(value)
        edited = _with_value(edited, coefficient.key.split(".")[1:], value)
    assert isinstance(edited, CortexM)
    return edited


def _with_value(model: BaseModel, steps: Sequence[str], value: float) -> BaseModel:
    step, *deeper = steps
    inner = _with_value(getattr(model, step), deeper, value) if deeper else value
    return model.model_copy(update={step: inner})
