"""A network: layers in order, the frame clock that drives it and the front end around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from npuexplore.documents.model import Model, Name

Features = Annotated[int, Field(ge=1, le=16_384)]
Activation = Literal["none", "relu", "sigmoid", "tanh"]


class FrameClock(Model):
    """How often the network runs, and how long one run may take."""

    sample_rate_hz: Annotated[int, Field(ge=4_000, le=96_000)] = 16_000
    window_samples: Annotated[int, Field(ge=16, le=8_192)]
    hop_samples: Annotated[int, Field(ge=1, le=8_192)]
    deadline_ms: PositiveFloat | None = None
    """Longest allowed time for one frame; the frame period where it is not given."""

    @model_validator(mode="after")
    def hop_divides_window(self) -> FrameClock:
        """Overlap-add needs whole hops in a window."""
        if self.window_samples % self.hop_samples:
            raise ValueError(
                f"hop_samples {self.hop_samples} must divide window_samples {self.window_samples}"
            )
        return self

    @property
    def frame_period_ms(self) -> float:
        """Time between two frames."""
        return 1000.0 * self.hop_samples / self.sample_rate_hz

    @property
    def frame_deadline_ms(self) -> float:
        """`deadline_ms`, or the frame period where none is given."""
        return self.frame_period_ms if self.deadline_ms is None else self.deadline_ms

    @property
    def spectrum_bins(self) -> int:
        """Bins of the one-sided spectrum of a window."""
        return self.window_samples // 2 + 1


class LstmLayer(Model):
    """Long short-term memory; gates in the order `ifgo`."""

    kind: Literal["lstm"]
    name: Name
    hidden_units: Features


class GruLayer(Model):
    """Gated recurrent unit, reset-after; gates in the order `rzn`."""

    kind: Literal["gru"]
    name: Name
    hidden_units: Features


class DenseLayer(Model):
    """Fully connected layer with its activation function."""

    kind: Literal["dense"]
    name: Name
    output_features: Features
    activation: Activation = "none"


Layer = Annotated[LstmLayer | GruLayer | DenseLayer, Field(discriminator="kind")]


class Network(Model):
    """A frame-by-frame mask network: `bands` features in, `bands` mask values out."""

    schema_version: Literal["npuexplore.network/1"] = Field(alias="schema")
    name: Name
    description: str = ""
    frame_clock: FrameClock
    bands: Features
    """Triangular bands of the front end; inputs of the first layer, outputs of the last."""
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=64, strict=False)]

    @model_validator(mode="after")
    def names_differ(self) -> Network:
        """Two layers of one name could not be told apart in a plan."""
        names = [layer.name for layer in self.layers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"layer name {name!r} is used twice; rename one")
        return self

    @model_validator(mode="after")
    def mask_matches_bands(self) -> Network:
        """The last layer gives one mask value per band, in 0..1."""
        last = self.layers[-1]
        if not isinstance(last, DenseLayer) or last.output_features != self.bands:
            raise ValueError(f"the last layer must be dense with output_features {self.bands} (= bands)")
        if last.activation != "sigmoid":
            raise ValueError("the last layer gives the mask: its activation must be sigmoid")
        return self

    @model_validator(mode="after")
    def bands_fit_spectrum(self) -> Network:
        """A band holds at least one bin."""
        bins = self.frame_clock.spectrum_bins
        if self.bands > bins:
            raise ValueError(f"bands {self.bands} must not exceed the {bins} bins of the window")
        return self


def output_features(layer: LstmLayer | GruLayer | DenseLayer) -> int:
    """Values that a layer hands on per frame."""
    return layer.output_features if isinstance(layer, DenseLayer) else layer.hidden_units


def input_features(network: Network) -> list[int]:
    """Values that each layer receives per frame, in layer order."""
    return [network.bands, *(output_features(layer) for layer in network.layers[:-1])]


def gate_count(kind: str) -> int:
    """Row blocks of a layer's weights: 4 for LSTM, 3 for GRU, 1 for dense.

    >>> gate_count("lstm")
    4
    """
    return {"lstm": 4, "gru": 3, "dense": 1}[kind]


def matrices(network: Network) -> Iterator[tuple[str, str, int, int]]:
    """(layer, matrix, rows, columns) of every weight matrix, in execution order.

    The matrices are `w_ih` (from the layer's input), `w_hh` (from its own state) and `w` (dense).
    """
    for layer, inputs in zip(network.layers, input_features(network), strict=True):
        rows = gate_count(layer.kind) * output_features(layer)
        if isinstance(layer, DenseLayer):
            yield layer.name, "w", rows, inputs
        else:
            yield layer.name, "w_ih", rows, inputs
            yield layer.name, "w_hh", rows, layer.hidden_units


def weight_elems(network: Network) -> int:
    """Weights of a dense network, biases not counted (966,656 for `tinylstm`)."""
    return sum(rows * columns for _, _, rows, columns in matrices(network))
