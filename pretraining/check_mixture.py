"""Holds the mixture to what it promises: `python check_mixture.py`. Needs the corpora only.

The same seed gives the same documents in another process; no word that is held out stands as the input of a task on single words; no instruction or label
is of a held-out family. Prints a digest of documents: runs on one recipe show the same.
"""
import hashlib
import re
import subprocess
import sys

from lexicon import is_held_out
from mixture import Mixture

DOCUMENTS, DRAWS = 3000, 200
# words by which an instruction of a held-out family would betray itself
TELLING = re.compile(r"\b(intent|topic|spam|recommend|weekday|day|time|price|amount|formal|informal|comparative|superlative|ing|weather|spelling|typo)\b", re.I)
# tasks whose input is one word of a pool that is split (numbers, names of classes and made-up inputs aside)
ON_WORDS = {"plural", "past", "third person", "upper", "title", "spell out", "first letter", "last letter", "no vowels", "vowels", "backwards",
            "count letters", "double", "synonym", "antonym", "hypernym", "category", "adverb", "noun from verb", "first name", "syllables"}


def digest(mixture: Mixture) -> str:
    found = hashlib.sha256()
    for number in range(DOCUMENTS):
        mixture.reseed(f"check {number}")
        found.update(repr((mixture.document(), mixture.pair(), mixture.text())).encode())
    return found.hexdigest()


def main() -> None:
    mixture = Mixture()
    print(digest(mixture))
    if sys.argv[1:] == ["digest"]:
        return
    other = subprocess.run([sys.executable, __file__, "digest"], capture_output=True, text=True, check=True).stdout.strip()
    wrong = [] if other == digest(mixture) else [f"another process draws other documents: {other}"]
    seen = set()
    for make in (maker for group in mixture.groups for maker in group):
        for _ in range(DRAWS):
            family = make()
            source, target = family.draw()
            seen.add(family.name)
            if family.name in ON_WORDS and is_held_out(source):
                wrong.append(f"{family.name}: {source} is held out")
            wrong += [f"{family.name}: {text}" for text in family.instructions if TELLING.search(text) and not family.name.startswith(("kind", "find the kind", "is it"))]
            wrong += [f"{family.name} has the label {label}" for label in family.labels if label in ("good", "bad", "spam", "formal", "informal")]
    wrong += [f"there is no family {name}" for name in ON_WORDS - seen]
    for line in sorted(set(wrong)):
        print(line)
    print(f"{len(seen)} families, {len(set(wrong))} wrong")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
