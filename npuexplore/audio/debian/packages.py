"""Which Debian packages hold recorded speech and noise or a program that speaks, and what is known of them.

Sizes, SHA-256 and versions: the signed index of Debian 12 (bookworm), main, amd64; further SHA-256: arm64,
and Debian 13 (trixie) on both. Licences and names: the copyright files inside the packages. Other releases
are welcome; theirs are recorded and said to be others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

DATASET = "debian-speech"
SOUNDS = "usr/share/asterisk/sounds/"
READINGS = "usr/share/festival/voices/russian/msu_ru_nsh_clunits/wav/"


@dataclass(frozen=True)
class Package:
    """One package, and what is made of it."""

    name: str
    role: Literal["speech", "noise", "program"]
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
    other_sha256: tuple[str, ...] = ()
    """Of other known releases."""

    def is_known(self, sha256: str) -> bool:
        """Whether a file of this SHA-256 is a release known here."""
        return sha256 in (self.sha256, *self.other_sha256)

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

READER = Package(
    name="festvox-ru",
    role="speech",
    licence="BSD-like (Nickolay V. Shmyrev)",
    credit="Read by Nickolay V. Shmyrev for his Russian voice of Festival (festlang)",
    version="0.5+dfsg-6",
    download_bytes=178_728_512,
    sha256="21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4",
    written_bytes=193_533_236,
    language="ru",
    speaker="ru_shmyrev",
    person="shmyrev",
    split="train",
)
"""A man who reads sentences: the recordings that a synthetic voice was cut from."""

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

FLITE = Package(
    name="flite",
    role="program",
    licence="Free (Carnegie Mellon University)",
    credit=(
        "Speech synthesised by Flite, of the Language Technologies Institute, Carnegie Mellon University "
        "(Alan W Black, David Huggins-Daines and others)"
    ),
    version="2.2-5",
    download_bytes=252_784,
    sha256="f4ce03470bf9974c2cb9cacd981e6be29339ef4c97cf994dd6fa3f90e6544db9",
    written_bytes=73_808_412,
    language="en",
    split="train",
    other_sha256=(
        "f5114e5cb90bc1f9705b1810eb0c9865ead13ad727feaa3df47d167b68cd11f3",  # 2.2-5 arm64
        "8d98298d12f1028ef4a20bf17a9096158d0e410150a2eaa5d0b5156c3a5d54da",  # 2.2-7 amd64
        "11fb618b546161d233c0c73ab11342fbc69d8924c80edeebd9090e35e67481e7",  # 2.2-7 arm64
    ),
)
LIBFLITE = Package(
    name="libflite1",
    role="program",
    licence="Free (Carnegie Mellon University)",
    credit="Flite's voices and libraries, by the same",
    version="2.2-5",
    download_bytes=12_823_776,
    sha256="bfa8c591f1b47730b30b372ec38e02918a1c9795eada67684e1746390ad2f061",
    written_bytes=0,
    other_sha256=(
        "a32d8cfe4eda5e98dc4332ffb2520d3fb65565265bb869eb101f6b8b21f0115d",  # 2.2-5 arm64
        "5945190970be7d4a1f71fb6f7e3e340ba2675e770605df0754051d617a6c5ee6",  # 2.2-7 amd64
        "2cfee9289cee3b2b3e3eecd7f37bff2330f9c51f4ae6d0c3a66fc1ef370bd03d",  # 2.2-7 arm64
    ),
)
ALSA = Package(
    name="libasound2",
    role="program",
    licence="LGPL-2.1+ (Jaroslav Kysela and others)",
    credit="Helped Flite to run; nothing of it is in these files",
    version="1.2.8-1+b1",
    download_bytes=361_788,
    sha256="44c77b076a7b11ae99712439022d822245b1994c435da564ebd320bb676faf4c",
    written_bytes=0,
    other_sha256=("9fa889400fcee4b92c8f4a2fafbb7f2cd33444d9ec1665a71002ab67c06114bb",),  # arm64
)
ALSA_OF_2024 = replace(
    ALSA,
    name="libasound2t64",
    version="1.2.14-1+deb13u1",
    download_bytes=380_896,
    sha256="5495496142d57e5ad6d581ac5456ec3c87f872c109a2bfb815d154b673eebc67",
    other_sha256=("9c808d819ccddc37c793dd3186c2ecd858b2feb2474cebb883f70386e7890d39",),  # arm64
)
"""The same, as it is called from Debian 13 and Ubuntu 24.04 on."""

PROGRAMS = (FLITE, LIBFLITE, ALSA, ALSA_OF_2024)
"""A program that speaks and what it needs; a folder without them is whole, too."""

UNPACKED_BYTES = 30_000_000
"""Of these, until the folder is whole."""

LANGUAGES = tuple(package.language for package in SPEECH)


def packages_for(languages: tuple[str, ...], *, reader: bool = False) -> tuple[Package, ...]:
    """The speech packages of these languages, in their fixed order, and the noise.

    reader : with READER, where his language is among these.
    """
    speech = (*SPEECH, READER) if reader else SPEECH
    return (*(package for package in speech if package.language in languages), NOISE)


def programs_for(languages: tuple[str, ...]) -> tuple[Package, ...]:
    """PROGRAMS where their language is among these.

    >>> [package.name for package in programs_for(("it", "en"))]
    ['flite', 'libflite1', 'libasound2', 'libasound2t64']
    """
    return PROGRAMS if FLITE.language in languages else ()
