"""Which Debian packages hold recorded speech and noise, and what is known of them.

Sizes, SHA-256 and versions: the signed index of Debian 12 (bookworm), main. Licences and names: the copyright
files inside the packages. Other releases are welcome; theirs are recorded and said to be others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DATASET = "debian-speech"
SOUNDS = "usr/share/asterisk/sounds/"


@dataclass(frozen=True)
class Package:
    """One package, and what is made of it."""

    name: str
    role: Literal["speech", "noise"]
    licence: str
    credit: str
    """Whom the licence asks to name."""
    version: str
    download_bytes: int
    sha256: str
    written_bytes: int
    """Sound files made of this version, as 16-bit WAV at 16 kHz; measured."""
    language: str = ""
    speaker: str = ""
    """Name of the voice in this language."""
    person: str = ""
    """Who speaks; one person may be several speakers."""
    split: str = ""
    """Where the voice belongs; noise is parted by tileset, in `noise`."""

    @property
    def copyright_path(self) -> str:
        """Path of the licence inside the package."""
        return f"usr/share/doc/{self.name}/copyright"


SPEECH = (
    Package(
        name="asterisk-core-sounds-en-g722",
        role="speech",
        licence="CC-BY-SA-3.0 (Allison Smith / Digium)",
        credit="Recorded by Allison Smith (theivrvoice.com), financed by Digium",
        version="1.6.1-1",
        download_bytes=10_565_860,
        sha256="38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
        written_bytes=43_445_396,
        language="en",
        speaker="en_allison",
        person="allison",
        split="train",
    ),
    Package(
        name="asterisk-core-sounds-es-g722",
        role="speech",
        licence="CC-BY-SA-3.0 (Allison Smith / Digium)",
        credit="Recorded by Allison Smith (theivrvoice.com), financed by Digium",
        version="1.6.1-1",
        download_bytes=13_048_380,
        sha256="e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
        written_bytes=51_971_012,
        language="es",
        speaker="es_allison",
        person="allison",
        split="train",
    ),
    Package(
        name="asterisk-core-sounds-fr-g722",
        role="speech",
        licence="CC-BY-SA-3.0 (June Wallack / Digium)",
        credit="Recorded by June Wallack (junewallack.com), financed by Digium, Unlimitel, BGM Informatique",
        version="1.6.1-1",
        download_bytes=10_822_860,
        sha256="7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
        written_bytes=44_649_980,
        language="fr",
        speaker="fr_june",
        person="june",
        split="train",
    ),
    Package(
        name="asterisk-core-sounds-it-g722",
        role="speech",
        licence="CC-BY-3.0 (Carlo Flora)",
        credit="Recorded by Carlo Flora (carloflora.com), translated by Silvia Petrin",
        version="1.6.1-1",
        download_bytes=10_087_176,
        sha256="46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
        written_bytes=40_447_460,
        language="it",
        speaker="it_carlo",
        person="carlo",
        split="test",
    ),
    Package(
        name="asterisk-core-sounds-ru-g722",
        role="speech",
        licence="CC-BY-3.0 (ivrvoice.ru)",
        credit="Provided by Maxim Topal (ivrvoice.ru)",
        version="1.6.1-1",
        download_bytes=10_579_440,
        sha256="673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
        written_bytes=43_089_560,
        language="ru",
        speaker="ru_ivrvoice",
        person="ivrvoice",
        split="validation",
    ),
)

NOISE = Package(
    name="megaglest-data",
    role="noise",
    licence="CC-BY-SA-3.0 (MegaGlest Team)",
    credit="The Glest Team and the MegaGlest Team (megaglest.org); people are named in the licence file",
    version="3.13.0-3",
    download_bytes=242_024_888,
    sha256="ed4783d9fc78e201a548b266f7c30325eb16cfd58a20bf4597dd6e622f84a07e",
    written_bytes=43_362_886,
)

LANGUAGES = tuple(package.language for package in SPEECH)


def packages_for(languages: tuple[str, ...]) -> tuple[Package, ...]:
    """The speech packages of these languages, in their fixed order, and the noise."""
    return (*(package for package in SPEECH if package.language in languages), NOISE)
