"""The pretraining mixture: plain text, and small tasks phrased many ways and shown alone or as few-shot lists, so that a soft prompt can find the
task later. Knows documents; knows nothing of tokenizers or models.

Held out, in no form shown: the families that the sample tasks use (README.md lists them). Everything is drawn from `rng`, so `reseed` makes
what follows depend on its argument alone.
"""
import random
from dataclasses import dataclass

import sources
import texts
from families_letters import letter_families
from families_records import record_families
from families_sentences import sentence_families
from families_words import word_families
from family import Family, Maker
from lexicon import LABEL_WORDS, Pick
from phrases import Phrases

# between the input and the answer; the sample tasks' template is the first
SEPARATORS = ["{} ->"] * 6 + ["{}:", "{} =", "{} =>", "Input: {}\nOutput:", "Text: {}\nAnswer:"]
RENAMED = 0.25  # of the lists of a classification have labels of their own
TEXT_WEIGHTS = {"dictionary": 26, "example": 22, "novel": 30, "speech": 12, "manual": 10}
LONGEST_SENTENCE = 110  # characters, of a book's sentence in a task
Segment = tuple[str, bool]  # text, and whether the model is to learn to write it


@dataclass
class Shown:
    """A few pairs of one family as a document shows them."""

    name: str
    instruction: str
    separator: str
    pairs: list[tuple[str, str]]


class Mixture:
    """Draws documents. held_out: from the words that training never sees, to probe with."""

    def __init__(self, held_out: bool = False):
        self.rng = rng = random.Random(0)
        pick = Pick(rng, held_out)
        net = sources.read_wordnet()
        prose = texts.read_prose()
        short = lambda found: pick.allowed(sorted({s for s in texts.sentences_of(found) if len(s) <= LONGEST_SENTENCE}))
        by_kind = {kind: short([paragraph for found in parts.values() for paragraph in found]) for kind, parts in prose.items()}
        by_kind["dictionary"] = pick.allowed(sorted({gloss[0].upper() + gloss[1:] + "." for _, gloss, _ in net.glosses if 25 < len(gloss) < LONGEST_SENTENCE}))
        authors = {author: short(found) for author, found in prose["novel"].items()}
        words = sorted(word for word in net.counts if word.isalpha() and word.islower() and 2 < len(word) < 11)
        phrases = Phrases(pick)
        # Groups are equally likely; so are a group's families.
        self.groups: list[list[Maker]] = [word_families(pick, net), letter_families(pick, words),
                                          sentence_families(pick, phrases, by_kind, authors), record_families(pick, phrases)]
        self.weights = [30, 24, 36, 10]
        self.texts = {
            "dictionary": [f"{word}: {gloss}" if index % 2 else f"{word} ({part}): {gloss}" for index, (word, gloss, part) in enumerate(net.glosses)],
            "example": net.examples,
            **{kind: texts.chunks([paragraph for found in parts.values() for paragraph in found]) for kind, parts in prose.items()},
        }

    def reseed(self, seed: str) -> None:
        self.rng.seed(seed)

    def text(self) -> str:
        [kind] = self.rng.choices(list(TEXT_WEIGHTS), list(TEXT_WEIGHTS.values()))
        return self.rng.choice(self.texts[kind])

    def family(self) -> Family:
        [group] = self.rng.choices(self.groups, self.weights)
        return self.rng.choice(group)()

    def instruction(self, family: Family) -> str:
        """One of the family's, sometimes with another end or a small first letter."""
        rng, text = self.rng, self.rng.choice(family.instructions)
        if rng.random() < 0.25:
            text = text.rstrip(".:") + rng.choice(["", ":", "."]) if text[-1] in ".:" else text
        if rng.random() < 0.15:
            text = text[0].lower() + text[1:]
        return text

    def show(self, family: Family, count: int, rename: bool) -> Shown:
        rng = self.rng
        pairs = list(dict(family.draw() for _ in range(count)).items())  # each input once
        while len(pairs) < min(count, 2):
            pairs.append(family.draw())
        if rename and family.labels:
            names = dict(zip(family.labels, rng.sample(LABEL_WORDS, len(family.labels)))) if len(family.labels) <= len(LABEL_WORDS) else {}
            pairs = [(source, names.get(target, target)) for source, target in pairs]
        return Shown(family.name, self.instruction(family), rng.choice(SEPARATORS), pairs)

    def document(self, family: Family | None = None) -> list[Segment]:
        """One example with its instruction, a list without one, or a list under one. The first answer of a bare list can't be known."""
        rng = self.rng
        family = family or self.family()
        shape = rng.random()
        if shape < 0.42:
            shown = self.show(family, 1, False)
            source, target = shown.pairs[0]
            return [(self.asked(shown, source), False), (f" {target}", True)]
        renamed = rng.random() < RENAMED
        bare = renamed or shape < 0.75
        shown = self.show(family, rng.randint(2, 8) if bare else rng.randint(2, 5), renamed)
        segments: list[Segment] = [] if bare else [(f"{shown.instruction}\n", False)]
        for index, (source, target) in enumerate(shown.pairs):
            separator = "" if index == 0 else "\n"
            segments += [(separator + shown.separator.replace("{}", source), False), (f" {target}", index > 0 or not bare)]
        return segments

    def asked(self, shown: Shown, source: str) -> str:
        """Instruction and input in one of their orders, up to where the answer begins."""
        order, line = self.rng.random(), shown.separator.replace("{}", source)
        if order < 0.75:
            return f"{shown.instruction}\n{line}"
        if order < 0.88:
            return f"{shown.instruction} {line}"
        return f"{source}\n{shown.instruction.rstrip(':')} ->"

    def pair(self, family: Family | None = None) -> tuple[str, str]:
        """For an encoder-decoder: the instruction and an input, or a list that ends in an open line -> its target."""
        rng = self.rng
        family = family or self.family()
        shape = rng.random()
        if shape < 0.6:
            shown = self.show(family, 1, False)
            source, target = shown.pairs[0]
            order = rng.random()
            if order < 0.4:
                return f"{shown.instruction}\n{source}", target
            return self.asked(shown, source), target
        renamed = rng.random() < RENAMED
        bare = renamed or shape < 0.85
        shown = self.show(family, rng.randint(3, 7) if bare else rng.randint(2, 4), renamed)
        lines = [f"{shown.separator.replace('{}', source)} {target}" for source, target in shown.pairs[:-1]]
        source, target = shown.pairs[-1]
        listed = "\n".join([*lines, shown.separator.replace("{}", source)])
        return (listed if bare else f"{shown.instruction}\n{listed}"), target
