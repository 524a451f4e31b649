"""Replays of reference data: what others' tools and boards said, against the estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from npuexplore.errors import BadInput
from npuexplore.pipeline.verify import (
    cortexm_elementwise,
    cortexm_fc,
    cortexm_lstm,
    hot_loops,
    published_cortexm,
    sparse_breakeven_best,
    sparse_kernels,
    vela_encoding,
    vela_fc,
    vela_lstm,
    vela_net,
)
from npuexplore.pipeline.verify.replay import Replay, Values
from npuexplore.pipeline.verify.statistics import quantity_document
from npuexplore.pipeline.verify.tables import read_table, reference_column, typed_table

SCHEMA = "npuexplore.verify/1"

REPLAYS: Mapping[str, Replay] = {
    "cortexm_elementwise": cortexm_elementwise.REPLAY,
    "cortexm_fc": cortexm_fc.REPLAY,
    "cortexm_lstm": cortexm_lstm.REPLAY,
    "hot_loops": hot_loops.REPLAY,
    "published_cortexm": published_cortexm.REPLAY,
    "sparse_breakeven_best": sparse_breakeven_best.REPLAY,
    "sparse_kernels": sparse_kernels.REPLAY,
    "vela_encoding": vela_encoding.REPLAY,
    "vela_fc": vela_fc.REPLAY,
    "vela_lstm": vela_lstm.REPLAY,
    "vela_net": vela_net.REPLAY,
}
"""By stem of the reference file."""


def replay_folder(folder: Path, *, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Every reference file of a folder through the estimator: errors by quantity and by group.

    tell : hears the name of each file before it is replayed. Raises BadInput for a folder that is none or
    empty, and for a broken file.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; give one with reference files such as vela_fc.csv")
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    if not paths:
        raise BadInput(f"{folder}: empty; give a folder with {', '.join(f'{stem}.csv' for stem in REPLAYS)}")
    known = [path for path in paths if path.suffix == ".csv" and path.stem in REPLAYS]
    files, skipped = {}, [path.name for path in paths if path not in known]
    for path in known:
        tell(path.name)
        files[path.stem], sentences = replay_file(path)
        skipped += sentences
    return {"schema": SCHEMA, "files": files, "skipped": skipped}


def replay_file(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Rows and quantities of one reference file, and a sentence for each kind of row that is left out."""
    replay, raw = REPLAYS[path.stem], read_table(path)
    table = typed_table(raw, path, texts=replay.texts, wholes=replay.wholes, fractions=replay.fractions)
    present = _present(replay, table, path)
    kept, sentences = np.ones(len(table), bool), list[str]()
    if replay.usable is not None:
        kept, sentences = replay.usable(table, path)
    references = {
        name: reference_column(raw[kept], column, path, blanks=bool(replay.blank_references))
        for name, column in present.items()
    }
    sentences += _blanks(replay, references, path)
    table = table[kept].reset_index(drop=True)
    if table.empty:
        return {"rows": 0, "quantities": {}}, sentences
    ours = replay.run(table, path)
    if replay.labels is not None:
        table = table.assign(**replay.labels(table))
    quantities = {
        name: _compared(replay, table, ours[name], reference)
        for name, reference in references.items()
        if name in ours and not (np.isnan(reference) | np.isnan(ours[name])).all()
    }
    document: dict[str, Any] = {"rows": len(table), "quantities": quantities}
    if replay.rows is not None:
        document["rows_table"] = replay.rows(table, path)
    return document, sentences


def _present(replay: Replay, table: pd.DataFrame, path: Path) -> dict[str, str]:
    """Reference columns that the file has, by quantity."""
    columns = {name: replay.compared_with.get(name, name) for name in replay.quantities}
    present = {name: column for name, column in columns.items() if column in table.columns}
    if not present:
        raise BadInput(
            f"{path}: nothing to compare with; give at least one of the columns "
            f"{', '.join(dict.fromkeys(columns.values()))}"
        )
    return present


def _blanks(replay: Replay, references: Mapping[str, Values], path: Path) -> list[str]:
    """A sentence for each quantity that some rows have no reference of."""
    counts = {name: int(np.isnan(values).sum()) for name, values in references.items()}
    return [
        f"{path.name}: rows without {name}: {count} ({replay.blank_references})"
        for name, count in counts.items()
        if count
    ]


def _compared(replay: Replay, table: pd.DataFrame, ours: Values, reference: Values) -> dict[str, Any]:
    """Figures over the rows that have a reference and that the quantity covers."""
    given = ~np.isnan(reference) & ~np.isnan(ours)
    return quantity_document(
        table[given], np.asarray(ours)[given], reference[given], groupings=replay.groupings
    )
