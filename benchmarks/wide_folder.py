"""A folder of more kinds of noise: what `data fetch debian-speech --men` made, and some of another folder.

python benchmarks/wide_folder.py FETCHED OTHER --voice be_tux --output WIDE

Of OTHER (speech/, noise/ and a manifest.csv) the voices named with --voice and its noise join the training
data; noise that FETCHED's packages hold too, and noise that OTHER's own split keeps for testing, stay out.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

from npuexplore.audio.manifest import MANIFEST_NAME
from npuexplore.audio.sources import load_corpus
from npuexplore.audio.splits import SplitSpec

RATE_HZ = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("fetched", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--voice", nargs="*", default=[], help="voices of the other folder to learn from")
    parser.add_argument("--test-voice", nargs="*", default=["el_tux", "ca_tux"], help="its voices to test on")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    fetched = rows_of(arguments.fetched)
    packages = {row["source_package"] for row in fetched}
    spec = SplitSpec(
        same_speaker=(("en_allison", "es_allison"),),
        test_speakers=tuple(arguments.test_voice),
        validation_speakers=tuple(arguments.voice),
    )
    tested = {noise.name for noise in load_corpus(arguments.other, rate_hz=RATE_HZ, split=spec).test.noise}
    joining = [
        joined(row)
        for row in rows_of(arguments.other)
        if (row["file"].startswith("speech/") and row["speaker_or_kind"] in arguments.voice)
        or (
            row["file"].startswith("noise/")
            and row["source_package"] not in packages
            and Path(row["file"]).stem not in tested
        )
    ]
    shutil.copytree(arguments.fetched, arguments.output)
    for row in joining:
        shutil.copy(arguments.other / row["file"], arguments.output / row["file"])
    with (arguments.output / MANIFEST_NAME).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fetched[0])
        writer.writeheader()
        writer.writerows([*fetched, *joining])
    print(f"{arguments.output}: {len(fetched)} files and {len(joining)} more")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / MANIFEST_NAME).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def joined(row: dict[str, str]) -> dict[str, str]:
    """The row as the fetched folder's manifest has it, in its training split."""
    speaks = row["file"].startswith("speech/")
    same = ("file", "licence", "speaker_or_kind", "language", "seconds", "source_package")
    return {
        **{name: row[name] for name in same},
        "person": row["speaker_or_kind"] if speaks else "",
        "split": "train",
    }


if __name__ == "__main__":
    main()
