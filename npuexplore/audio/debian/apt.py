"""Packages through `apt-get download`: apt's signatures, private lists, no root, never sudo.

Apt keeps its lists and its state in a folder of ours and writes nothing of the system's. What its signed
index says of size and SHA-256 is what a downloaded file must be.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from npuexplore.audio.debian.archive import sha256_of
from npuexplore.audio.debian.guarded import LOOK_SECONDS, Said, run_guarded
from npuexplore.errors import EnvironmentLacking

NO_INDEXES = ("Contents-deb", "DEP-11", "DEP-11-icons-small", "DEP-11-icons", "DEP-11-icons-hidpi", "CNF")
"""Lists that desktops fetch along and that nothing here reads."""

HOOKS = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
"""Commands that systems run after an update of their own lists."""

LISTS_MB = 10
"""Size of the package lists of Debian 12, main, measured."""

ELSEWHERE = "or get the .deb files (packages.debian.org) and give their folder with --from DIR"


@dataclass(frozen=True)
class Offer:
    """What apt would download for a package."""

    package: str
    file: str
    bytes: int
    sha256: str


class Apt:
    """`apt-get` with everything that it writes below `folder`."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("apt-get")
        if found is None:
            raise EnvironmentLacking(f"this system has no apt-get; use Debian or Ubuntu, {ELSEWHERE}")
        self._folder = folder.absolute()
        self._incoming = self._folder / "incoming"
        for part in ("state/lists/partial", "cache/archives/partial", "incoming"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "apt.conf"
        configuration.write_text("".join(f"#clear {hook};\n" for hook in HOOKS), encoding="ascii")
        self._has_updated = False
        self._program = [found, "-q", "-c", str(configuration), *_options(self._folder)]

    def offers(self, names: Iterable[str]) -> dict[str, Offer]:
        """What apt has of every package; its lists are fetched where they are not yet there.

        Raises EnvironmentLacking where the lists cannot be fetched or do not hold a package.
        """
        wanted = list(names)
        complaint = ""
        found = self._offered(wanted)
        if len(found) < len(wanted):
            complaint = self._updated()
            found = self._offered(wanted)
        if len(found) < len(wanted):  # apt names none when it lacks one
            found = self._offered_singly(wanted)
        for name in wanted:
            if name in found:
                continue
            if complaint:
                raise EnvironmentLacking(
                    f"apt-get update: {complaint}; look at the network and at apt's sources, {ELSEWHERE}"
                )
            raise EnvironmentLacking(
                f"apt knows no package {name}; enable Debian's main (Ubuntu's universe) in apt's sources, "
                f"{ELSEWHERE}"
            )
        return found

    def offers_of_any(self, names: Iterable[str]) -> dict[str, Offer]:
        """What apt has of those packages that it knows; its lists are fetched where none is known."""
        wanted = list(names)
        found = self._offered_singly(wanted)
        if wanted and not found and not self._has_updated:
            self._updated()
            found = self._offered_singly(wanted)
        return found

    def download(self, offer: Offer, target: Path, *, on_bytes: Callable[[int], None]) -> None:
        """Writes the package to `target`, whole or not at all; what was fetched before a kill is not again.

        on_bytes : called now and then with how many bytes are there.
        Raises EnvironmentLacking where apt fails, or the file is not what the index says.
        """
        incoming, complaint = self._incoming / offer.file, ""
        if not _is(incoming, offer):
            done = self._run("download", offer.package, on_wait=lambda: on_bytes(_size(incoming)))
            complaint = _complaint(done.errors) or "the file is not what its index says"
        if not _is(incoming, offer):
            incoming.unlink(missing_ok=True)
            raise EnvironmentLacking(
                f"apt-get download {offer.package}: {complaint}; run the same command again, {ELSEWHERE}"
            )
        os.replace(incoming, target)
        on_bytes(offer.bytes)

    def _offered(self, names: list[str]) -> dict[str, Offer]:
        """What apt would download for `names`; nothing where its lists lack one of them."""
        lines = self._run("download", "--print-uris", *names, folder=self._folder).output.splitlines()
        return {offer.package: offer for line in lines if (offer := _offer(line))}

    def _offered_singly(self, names: list[str]) -> dict[str, Offer]:
        return {name: offer for one in names for name, offer in self._offered([one]).items()}

    def _updated(self) -> str:
        """Fetches the lists; returns what apt complains of."""
        self._has_updated = True
        return _complaint(self._run("update").errors)

    def _run(
        self, *arguments: str, folder: Path | None = None, on_wait: Callable[[], None] = lambda: None
    ) -> Said:
        """Runs apt-get, which ends when this process does; downloads land in `folder`."""
        return run_guarded(
            [*self._program, *arguments],
            folder=folder or self._incoming,
            logs=self._folder,
            environment={**os.environ, "LC_ALL": "C"},
            look_seconds=LOOK_SECONDS,
            on_wait=on_wait,
        )


def _options(folder: Path) -> list[str]:
    settings: Mapping[str, str | Path] = {
        "Dir::State": folder / "state",
        "Dir::State::lists": folder / "state" / "lists",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "APT::Color": "0",
        **{f"Acquire::IndexTargets::deb::{name}::DefaultEnabled": "false" for name in NO_INDEXES},
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def _offer(line: str) -> Offer | None:
    """What a line of `--print-uris` says: 'URI' file bytes SHA256:hash.

    >>> _offer("'http://x/a_1_all.deb' a_1_all.deb 12 SHA256:" + 64 * "0").bytes
    12
    """
    parts = line.rsplit("' ", 1)[-1].split()
    if not line.startswith("'") or len(parts) != 3 or not parts[1].isdigit():
        return None
    file, kind, digest = parts[0], *parts[2].partition(":")[::2]
    if kind != "SHA256" or len(digest) != 2 * hashlib.sha256().digest_size or Path(file).name != file:
        return None
    return Offer(package=file.split("_")[0], file=file, bytes=int(parts[1]), sha256=digest)


def _complaint(errors: str) -> str:
    """What apt wrote that says most: what could not be fetched, or its last error, or its last warning.

    >>> _complaint("W: Download is performed unsandboxed\\nE: Unable to locate package x")
    'Unable to locate package x'
    """
    lines = [line.strip() for line in errors.splitlines() if "unsandboxed" not in line]
    for mark in (("W: Failed to fetch", "E: Failed to fetch"), ("E:",), ("W:",)):
        if said := [line for line in lines if line.startswith(mark)]:
            return _masked(" ".join(said[-1][2:].split()).rstrip("."))
    return ""


def _masked(text: str) -> str:
    """`text` with the part before @ left out of addresses.

    >>> _masked("Failed to fetch http://me:secret@host/x")
    'Failed to fetch http://***@host/x'
    """
    words = []
    for word in text.split():
        scheme, sign, rest = word.partition("://")
        user, at, host = rest.rpartition("@")
        words.append(f"{scheme}{sign}***@{host}" if sign and at and user else word)
    return " ".join(words)


def _is(path: Path, offer: Offer) -> bool:
    """Whether a file is the package that apt's signed index describes."""
    return _size(path) == offer.bytes and sha256_of(path) == offer.sha256


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
