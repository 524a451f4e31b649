"""What a profile says about measurements that its figures were fitted to, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from npuexplore.documents.model import Model

Rows = Annotated[int, Field(ge=2, le=10_000)]
Percent = Annotated[float, Field(ge=0, le=1e6)]
Text = Annotated[str, Field(min_length=1, max_length=400)]


class RelativeInterval(Model):
    """Where a measurement is expected, as multiples of the estimate."""

    level_frac: Annotated[float, Field(gt=0, lt=1)]
    """Share of measurements that are expected inside."""
    low_ratio: Annotated[float, Field(gt=0, le=1)]
    """Lower end divided by the estimate."""
    high_ratio: Annotated[float, Field(ge=1)]
    """Upper end divided by the estimate."""


class Calibration(Model):
    """Measurements on a board, what they set, and how well they are predicted when they are left out."""

    file: Text
    """Name of the file with the measurements."""
    rows: Rows
    """Measurements."""
    cases: Annotated[int, Field(ge=1, le=10_000)]
    """Different layers and networks among them."""
    measured: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    """Kinds of layers among them, and `sparse` where some had sparse weights."""
    date: Text
    """Day of the measurements, or else of the calibration."""
    board: Text | None
    """Where it was measured; null where nobody said."""
    stack: Text | None
    """Kernels, compiler and runtime that were measured; null where nobody said."""
    kernels: Text
    """Core and toolchain of the kernels that the coefficients are laid over."""
    coefficients: Annotated[Mapping[str, float], Field(min_length=1)]
    """Figures of the profile that were fitted, by dotted key, as the fit left them."""
    mean_error_before_pct: Percent
    """Mean of absolute errors of the profile before the fit."""
    mean_error_after_pct: Percent
    """The same after the fit, over the rows that it was fitted to."""
    mean_error_left_out_pct: Percent
    """The same where each row is predicted by a fit to the others."""
    interval: RelativeInterval

    @model_validator(mode="after")
    def cases_are_rows(self) -> Calibration:
        """A row is one case."""
        if self.cases > self.rows:
            raise ValueError(f"cases: got {self.cases}; {self.rows} rows have no more cases than that")
        return self


def refuse_stale(calibration: Calibration, profile: Any) -> None:
    """Raises ValueError where the profile is no longer what the measurements made it."""
    if calibration.kernels != kernels_of(profile):
        raise ValueError(
            f"calibration.kernels: {calibration.kernels} were measured, but the profile has "
            f"{kernels_of(profile)}; calibrate again, or write calibration: null"
        )
    for key, fitted in calibration.coefficients.items():
        figure = figure_at(profile, key)
        if figure is None or abs(figure - fitted) > 1e-9 * max(1.0, abs(fitted)):
            got = "no such figure" if figure is None else f"{figure:g}"
            raise ValueError(
                f"calibration.coefficients.{key}: {fitted:g} was measured, but the profile has {got}; "
                "calibrate again, or write calibration: null"
            )


def kernels_of(profile: Any) -> str:
    """Core and toolchain of a profile's engine, or its family where it has none."""
    engine = profile.engine
    named = [getattr(engine, name, None) for name in ("core", "toolchain")]
    return " ".join(str(word) for word in named if word is not None) or str(engine.family)


def figure_at(profile: Any, key: str) -> float | None:
    """The number at a dotted key of a profile; None where there is none."""
    node = profile
    for step in key.split("."):
        node = node.get(step) if isinstance(node, Mapping) else getattr(node, step, None)
    return node if isinstance(node, int | float) and not isinstance(node, bool) else None
