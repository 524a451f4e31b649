"""Where packages come from: a folder of .deb files, or apt. Sizes are said and room is looked for first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from npuexplore.audio.debian.apt import LISTS_MB, Apt, Offer
from npuexplore.audio.debian.folder import Workplace
from npuexplore.audio.debian.packages import (
    ALSA,
    ALSA_OF_2024,
    DATASET,
    PROGRAMS,
    READER,
    UNPACKED_BYTES,
    Package,
)
from npuexplore.errors import BadInput, EnvironmentLacking

Say = Callable[[str], None]
Tell = Callable[[str, int, int, str], None]
"""Called with (stage, done, in all, detail)."""

MB = 1_000_000
LISTS_BYTES = 60 * MB
"""Apt's lists, unpacked."""


def given(
    place: Workplace, packages: Sequence[Package], programs: Sequence[Package], *, debs: Path, say: Say
) -> dict[str, Path]:
    """The file of every package in a folder of .deb files, and of the programs that are there.

    Raises BadInput naming the packages that are missing, EnvironmentLacking without room for what is made.
    """
    if not debs.is_dir():
        raise BadInput(f"--from {debs}: no such folder; give the one that holds the .deb files")
    found = {
        package.name: path for package in (*packages, *programs) if (path := _candidate(debs, package.name))
    }
    missing = [package.name for package in packages if package.name not in found]
    if missing:
        raise BadInput(
            f"--from {debs}: lacks {', '.join(f'{name}_*.deb' for name in missing)}; get them from "
            "packages.debian.org, or leave languages out with --languages"
        )
    there = [package for package in (*packages, *programs) if package.name in found]
    say(_sizes([found[package.name].stat().st_size for package in there], there, "to be read"))
    _require_room(place, there, downloads_bytes=0)
    return found


def _candidate(debs: Path, name: str) -> Path | None:
    candidates = sorted(debs.glob(f"{name}_*.deb")) + sorted(debs.glob(f"{name}.deb"))
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise BadInput(f"--from {debs}: holds {name} more than once ({names}); keep one")
    return candidates[0] if candidates else None


def downloaded(
    place: Workplace, packages: Sequence[Package], programs: Sequence[Package], *, say: Say, on_progress: Tell
) -> dict[str, Path]:
    """Every package from apt, and the programs that it has, whole and as its signed index says."""
    wanted = (*packages, *_still_to_choose(place, programs))
    missing = [package for package in wanted if not place.download(package).is_file()]
    if missing:
        apt, done = Apt(place.tools / "apt"), 0
        offers = _asked(apt, place, wanted, missing, say=say)
        for package, offer in offers:
            on_bytes = _meter(on_progress, package, done, sum(one.bytes for _, one in offers))
            apt.download(offer, place.download(package), on_bytes=on_bytes)
            done += offer.bytes
    _require_room(place, wanted, downloads_bytes=0)
    return {
        package.name: place.download(package)
        for package in (*packages, *programs)
        if place.download(package).is_file()
    }


def _still_to_choose(place: Workplace, programs: Sequence[Package]) -> list[Package]:
    """The programs without the second of two names of one library, where the first has been downloaded."""
    either = (ALSA, ALSA_OF_2024)
    there = [package for package in either if place.download(package).is_file()]
    return [package for package in programs if package not in either or not there or package in there]


def _asked(
    apt: Apt, place: Workplace, wanted: Sequence[Package], missing: Sequence[Package], *, say: Say
) -> list[tuple[Package, Offer]]:
    """What apt would download of the missing packages, after its size was said and there is room for it."""
    likely = [package for package in missing if package is not ALSA_OF_2024]
    known_sizes = [package.download_bytes for package in likely]
    say(_sizes(known_sizes, likely, f"to be downloaded, and apt's lists, about {LISTS_MB} MB"))
    _require_room(place, wanted, downloads_bytes=sum(known_sizes) + LISTS_BYTES)
    required = [package.name for package in missing if package not in PROGRAMS]
    offers = apt.offers(required) if required else {}
    offers |= apt.offers_of_any(package.name for package in missing if package in PROGRAMS)
    if ALSA.name in offers:
        offers.pop(ALSA_OF_2024.name, None)
    found = [(package, offers[package.name]) for package in missing if package.name in offers]
    sizes = [offer.bytes for _, offer in found]
    if sizes != known_sizes:
        say(_sizes(sizes, [package for package, _ in found], "in the release that apt offers"))
        _require_room(place, wanted, downloads_bytes=sum(sizes))
    return found


def _sizes(package_bytes: Sequence[int], packages: Sequence[Package], what: str) -> str:
    written = sum(package.written_bytes for package in packages)
    licences = ["CC-BY-SA-3.0", "CC-BY-3.0"]
    if READER in packages:
        licences.append("a BSD-like licence")
    if any(package in PROGRAMS for package in packages):
        licences.append("Flite's free licence")
    return (
        f"{DATASET}: {len(packages)} packages, {sum(package_bytes) / MB:.1f} MB {what}, about "
        f"{written / MB:.0f} MB of sound to be written ({', '.join(licences)})"
    )


def _require_room(place: Workplace, packages: Sequence[Package], *, downloads_bytes: int) -> None:
    needed = downloads_bytes + sum(package.written_bytes for package in packages)
    needed += UNPACKED_BYTES if any(package in PROGRAMS for package in packages) else 0
    free = shutil.disk_usage(place.folder).free
    if free < needed:
        raise EnvironmentLacking(
            f"{place.target}: needs {needed / MB:.0f} MB there and {free / MB:.0f} MB are free; make room"
        )


def _meter(tell: Tell, package: Package, before: int, total: int) -> Callable[[int], None]:
    return lambda there: tell("download, MB", (before + there) // MB, -(-total // MB), package.name)
