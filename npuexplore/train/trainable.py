"""Which networks have a training primitive for every layer."""

from __future__ import annotations

from npuexplore.errors import BadInput
from npuexplore.workload.network import Conv1x1Layer, Network


def refuse_untrainable(network: Network) -> None:
    """Raise BadInput for a network with a layer that can be estimated, but not trained."""
    for layer in network.layers:
        if isinstance(layer, Conv1x1Layer):
            raise BadInput(
                f"network {network.name}: layers.{layer.name}: kind conv1x1 can be estimated but not "
                "trained; use lstm, gru and dense layers in what is trained"
            )
