"""Networks from YAML, by shipped name or path."""

from __future__ import annotations

from pathlib import Path

from npuexplore.documents.shipped import find_document, shipped_names
from npuexplore.documents.strict_yaml import read_document
from npuexplore.workload.network import Network


def load_network(name_or_path: str | Path) -> Network:
    """The network of a shipped name or a YAML file; raises BadInput with file and line.

    >>> load_network("tinylstm").bands
    128
    """
    return read_document(find_document(name_or_path, "networks"), Network, what="network")


def list_networks() -> list[str]:
    """Names of the shipped networks."""
    return shipped_names("networks")
