"""What the demo voices say: sentences written for this project, and endless ones from a seeded generator."""

from __future__ import annotations

import numpy as np

ENGLISH = (
    "The ferry leaves the northern harbour at a quarter past six.",
    "She tuned the old guitar until every string agreed.",
    "Please put the blue folder back on the second shelf.",
    "A thin layer of frost covered the windows this morning.",
    "We measured the voltage twice and wrote both numbers down.",
    "His grandmother bakes rye bread with walnuts on Fridays.",
    "The children chased a paper kite across the empty field.",
    "Turn left after the bridge and follow the river for a mile.",
    "Nobody noticed the small crack in the green teapot.",
    "The committee will vote on the new budget next Thursday.",
    "Fresh mint grows wild behind the garden wall.",
    "Could you speak a little louder, the line is quite noisy.",
    "Our train was delayed because a cow stood on the tracks.",
    "The museum keeps a collection of clocks that never agree.",
    "I usually drink my coffee black, without any sugar.",
    "Seven swans landed on the lake just before sunset.",
    "The engineer explained how the pump avoids vibration.",
    "They painted the kitchen yellow to make it look larger.",
    "Rain drummed on the tin roof all through the night.",
    "Every ticket must be shown again at the inner gate.",
    "The judge asked the witness to describe the red van.",
    "Fold the paper in half, then cut along the dotted line.",
    "My brother collects stamps from countries that no longer exist.",
    "The smell of warm cinnamon drifted through the hallway.",
    "A shy fox visits the yard whenever the moon is full.",
    "The battery lasts for two days if you dim the screen.",
    "Jupiter was bright enough to cast a faint reflection.",
    "Which of these three keys opens the cellar door?",
    "The baker shouted over the noise of the mixing machine.",
    "Push the lever gently and wait for the second click.",
    "Her voice carried easily to the back of the theatre.",
    "The valley echoed with thunder, but the storm passed us by.",
    "We have enough wood for the winter, and perhaps a bit more.",
    "Thick fog hid the lighthouse from the fishing boats.",
    "The doctor advised him to walk for an hour each day.",
    "An orange cat sleeps on the warm roof of the car.",
    "Read the instructions carefully before you plug it in.",
    "The choir sang softly while the candles were lit.",
    "Zoe brought a jar of honey and six ripe figs.",
    "He whistled a tune that I had not heard for years.",
    "The mechanic found a loose wire under the dashboard.",
    "Ships from five nations anchored in the shallow bay.",
    "Would you like a window seat or one beside the aisle?",
    "The path grows steep and stony above the tree line.",
    "My neighbour plays chess by post with a man in Chile.",
    "Add a pinch of salt and stir until the sauce is thick.",
    "The library closes early on the last day of the month.",
    "Bright flags fluttered above the crowded market square.",
    "It takes eight minutes for sunlight to reach the earth.",
    "The puppy tugged at the rope and refused to let go.",
    "A sudden gust blew the papers off the judge's table.",
    "They argued about the route until the map fell into a puddle.",
    "Quiet streets make the footsteps sound much closer.",
    "The chef sharpened his knife and began with the onions.",
    "Our teacher drew a perfect circle without any compass.",
    "Wash the wool by hand and let it dry in the shade.",
    "The elevator hummed, paused, and opened on the wrong floor.",
    "Few people remember who built the first bridge here.",
    "She folded the letter and slipped it under the door.",
    "Both answers are correct, but only one of them is useful.",
    "The goalkeeper jumped too soon and missed the ball.",
    "An hour of practice each evening is better than none.",
    "They sell apples, plums and pears beside the highway.",
    "The signal faded whenever a truck went past the house.",
    "Hold the torch steady while I look for the other screw.",
    "A choice between two evils is hardly a choice at all.",
    "Mice had nested in the sleeve of his winter coat.",
    "The judge of the contest could not taste any difference.",
    "Five large ducks waddled through the open barn door.",
    "The thermometer showed minus twelve at dawn.",
    "We hung the washing between the birch and the plum tree.",
    "Their youngest daughter wants to study volcanoes.",
)
"""72 sentences."""

OTHERS = {
    "de": (
        "Der Zug nach Norden fährt heute von Gleis sieben ab.",
        "Im Garten hinter dem Haus blühen die ersten Kirschen.",
        "Können Sie mir bitte sagen, wie spät es ist?",
        "Die Kinder bauten am Strand eine Burg aus Sand.",
        "Gestern Abend hat es stundenlang geregnet und gestürmt.",
        "Meine Schwester übt jeden Morgen eine halbe Stunde Geige.",
        "Auf dem Markt gibt es frischen Käse und dunkles Brot.",
        "Der alte Leuchtturm wird nur noch selten benutzt.",
    ),
    "es": (
        "El tren de las ocho llega siempre con un poco de retraso.",
        "Mi abuela guarda las cartas en una caja de madera.",
        "Los niños corrían por la playa detrás de una cometa.",
        "Por favor, cierre la puerta cuando salga del despacho.",
        "Ayer compramos naranjas y queso en el mercado viejo.",
        "La lluvia golpeaba los cristales durante toda la noche.",
        "El médico le recomendó caminar una hora cada día.",
        "Nadie sabe quién construyó el puente sobre el río.",
    ),
    "fr": (
        "Le bateau quitte le port un peu avant six heures.",
        "Ma voisine cultive des tomates sur son balcon.",
        "Pourriez-vous parler plus fort, s'il vous plaît ?",
        "Les enfants ont trouvé une vieille clé dans le jardin.",
        "Il faut tourner à gauche juste après le pont.",
        "La neige est tombée sans bruit pendant toute la nuit.",
        "Nous avons acheté du pain chaud et un pot de miel.",
        "Le musée ferme plus tôt le dernier jour du mois.",
    ),
    "it": (
        "Il traghetto parte dal molo vecchio alle sei e un quarto.",
        "Mia zia prepara il pane con le noci ogni venerdì.",
        "Vorrei un posto vicino al finestrino, se è possibile.",
        "I bambini giocavano a nascondino dietro la chiesa.",
        "La pioggia ha bagnato tutti i libri sul tavolo.",
        "Giri a destra dopo il ponte e segua il fiume.",
        "Il gatto arancione dorme sul tetto della macchina.",
        "Ogni sera suona la chitarra per almeno un'ora.",
    ),
    "nl": (
        "De trein naar Utrecht vertrekt vandaag van spoor elf.",
        "Mijn buurman speelt schaak met een vriend in Chili.",
        "Zou u het raam even open willen zetten?",
        "De kinderen zwommen in het meer tot de zon onderging.",
        "Er ligt een dunne laag ijs op de gracht.",
        "Zij bakt elke zondag een taart met appels en kaneel.",
        "De vuurtoren was in de dichte mist niet te zien.",
        "Lees eerst de handleiding voordat je hem aanzet.",
    ),
    "pt": (
        "O barco sai do porto um pouco antes das sete horas.",
        "A minha avó guarda as fotografias numa caixa azul.",
        "Pode falar mais alto, por favor, há muito barulho.",
        "As crianças encontraram uma chave velha no jardim.",
        "Ontem choveu durante toda a noite sem parar.",
        "O médico disse que ele devia caminhar todos os dias.",
        "Compramos pão fresco e queijo no mercado da praça.",
        "Ninguém sabe quem construiu a primeira ponte.",
    ),
}
"""Sentences of other languages, by espeak-ng's name of the language."""

_COLOURS = ("amber", "black", "crimson", "grey", "ivory", "orange", "purple", "silver", "violet", "white")
_THINGS = ("baskets", "bells", "chairs", "engines", "feathers", "gloves", "jugs", "lamps", "parcels", "shoes")
_VERBS = ("are waiting", "were found", "will arrive", "have vanished", "should be counted", "are missing")
_PLACES = (
    "at the gate",
    "in the workshop",
    "near the church",
    "under the stairs",
    "by the shore",
    "in Zurich",
)


def sentence(language: str, rng: np.random.Generator) -> str:
    """One sentence of `language` (as espeak-ng names it): two in three written, one in three made up.

    >>> sentence("en-us", np.random.default_rng(0))
    'Read the instructions carefully before you plug it in.'
    """
    written = OTHERS.get(language.split("-")[0], ENGLISH)
    if rng.random() < 2 / 3:
        return written[rng.integers(len(written))]
    return _invented(rng) if written is ENGLISH else _counted(rng)


def _invented(rng: np.random.Generator) -> str:
    """An English sentence nobody wrote."""
    number = rng.integers(2, 9_999)
    words = (words[rng.integers(len(words))] for words in (_COLOURS, _THINGS, _VERBS, _PLACES))
    return f"{number} {' '.join(words)}."


def _counted(rng: np.random.Generator) -> str:
    """Numbers, which every language reads in its own words."""
    return ", ".join(str(number) for number in rng.integers(0, 10_000, size=4)) + "."
