"""Engines of the search: `exact` proves its front, `evolve` takes any model, `auto` does both."""

from npuexplore.search.engines.auto import AutoFront, auto_search, spread
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.evolve import Evolution, Evolved, evolve
from npuexplore.search.engines.exact import FoundFront, exact_search
from npuexplore.search.engines.separable import SeparableModel, separable_model

__all__ = [
    "AutoFront",
    "Evolution",
    "Evolved",
    "FoundFront",
    "SeparableModel",
    "Tolerance",
    "auto_search",
    "evolve",
    "exact_search",
    "separable_model",
    "spread",
]
