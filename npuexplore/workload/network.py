"""A network: layers in order, the frame clock that drives it and the front end around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, model_validator

from npuexplore.documents.model import Model, Name
from npuexplore.units import ceil_div

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
    def windows_overlap_evenly(self) -> FrameClock:
        """Every sample lies in whole windows or well inside of some, so that overlap-add can restore it."""
        if self.window_samples % self.hop_samples and 2 * self.hop_samples > self.window_samples:
            raise ValueError(
                f"hop_samples {self.hop_samples} must divide window_samples {self.window_samples} or be at "
                f"most half of it ({self.window_samples // 2})"
            )
        return self

    @property
    def window_frames(self) -> int:
        """Frames from the first to the last that hear a sample, at most: window / hop, rounded up."""
        return int(ceil_div(self.window_samples, self.hop_samples))

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


class Conv1x1Layer(Model):
    """Convolution with a 1x1 kernel: one weight matrix used at every position of a frame's features.

    Features are ordered position by position: `positions` times the input channels in, `positions` times
    `output_channels` out. Input channels = features handed in / positions, which must divide.
    """

    kind: Literal["conv1x1"]
    name: Name
    positions: Features
    output_channels: Features
    activation: Activation = "none"


AnyLayer = LstmLayer | GruLayer | DenseLayer | Conv1x1Layer
Layer = Annotated[AnyLayer, Field(discriminator="kind")]


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
    def positions_divide_inputs(self) -> Network:
        """A conv1x1 layer sees whole channels at every position."""
        inputs = self.bands
        for layer in self.layers:
            if inputs % positions_of(layer):
                raise ValueError(
                    f"layer {layer.name!r}: positions {positions_of(layer)} must divide the {inputs} "
                    "values handed in"
                )
            inputs = output_features(layer)
        return self

    @model_validator(mode="after")
    def bands_fit_spectrum(self) -> Network:
        """A band holds at least one bin."""
        bins = self.frame_clock.spectrum_bins
        if self.bands > bins:
            raise ValueError(f"bands {self.bands} must not exceed the {bins} bins of the window")
        return self


def positions_of(layer: AnyLayer) -> int:
    """How often per frame a layer uses its weights: 1, and more for conv1x1."""
    return layer.positions if isinstance(layer, Conv1x1Layer) else 1


def unit_count(layer: AnyLayer) -> int:
    """Rows of one gate of a layer's weights: hidden units, outputs, or output channels of conv1x1."""
    if isinstance(layer, Conv1x1Layer):
        return layer.output_channels
    return layer.output_features if isinstance(layer, DenseLayer) else layer.hidden_units


def output_features(layer: AnyLayer) -> int:
    """Values that a layer hands on per frame."""
    return unit_count(layer) * positions_of(layer)


def activation_of(layer: AnyLayer) -> Activation:
    """The activation function of a dense or conv1x1 layer; `none` for recurrent ones."""
    return layer.activation if isinstance(layer, DenseLayer | Conv1x1Layer) else "none"


def is_recurrent(layer: AnyLayer) -> bool:
    """Whether a layer has a state."""
    return isinstance(layer, LstmLayer | GruLayer)


def input_features(network: Network) -> list[int]:
    """Values that each layer receives per frame, in layer order."""
    return [network.bands, *(output_features(layer) for layer in network.layers[:-1])]


def gate_count(kind: str) -> int:
    """Row blocks of a layer's weights: 4 for LSTM, 3 for GRU, 1 for dense and conv1x1.

    >>> gate_count("lstm")
    4
    """
    return {"lstm": 4, "gru": 3, "dense": 1, "conv1x1": 1}[kind]


def matrices(network: Network) -> Iterator[tuple[str, str, int, int]]:
    """(layer, matrix, rows, columns) of every weight matrix, in execution order.

    The matrices are `w_ih` (from the layer's input), `w_hh` (from its own state) and `w` (dense, conv1x1).
    """
    for layer, inputs in zip(network.layers, input_features(network), strict=True):
        rows = gate_count(layer.kind) * unit_count(layer)
        if is_recurrent(layer):
            yield layer.name, "w_ih", rows, inputs
            yield layer.name, "w_hh", rows, unit_count(layer)
        else:
            yield layer.name, "w", rows, inputs // positions_of(layer)


def weight_elems(network: Network) -> int:
    """Weights of a dense network, biases not counted (966,656 for `tinylstm`)."""
    return sum(rows * columns for _, _, rows, columns in matrices(network))
