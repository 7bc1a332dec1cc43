"""Families about letters, numbers and word lists: copying, counting, cutting out, looking up. Knows the words it is given; knows nothing of documents.

Held out on purpose, for the sample tasks (README.md): mending spelling.
"""
from family import Maker, constant, with_choice
from lexicon import Pick

UNITS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
         "eighteen nineteen").split()
TENS = ["", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split()]
ORDINALS = ["first", "second", "third", "fourth"]
AFFIXES = "re- un- pre- over- out- mis- non- -less -like -ish -ful -ness -able".split()
VOWELS = "aeiou"


def in_words(number: int) -> str:
    if number < 20:
        return UNITS[number]
    return TENS[number // 10] + ("" if number % 10 == 0 else "-" + UNITS[number % 10])


def affixed(word: str, affix: str) -> str:
    return affix[:-1] + word if affix.endswith("-") else word + affix[1:]


def letter_families(pick: Pick, all_words: list[str]) -> list[Maker]:
    rng = pick.rng
    words = pick.allowed(all_words)
    short = [word for word in words if len(word) < 7]
    numbers = pick.allowed(range(100), str)
    of_word = lambda change, among=words: lambda: (lambda word: (word, change(word)))(rng.choice(among))
    some = lambda low, high: rng.sample(words, rng.randint(low, high))

    def listed(change, low=2, high=4):
        def draw():
            row = some(low, high)
            return ", ".join(row), change(row)
        return draw

    def spaced(change, low=2, high=5):
        def draw():
            row = some(low, high)
            return " ".join(row), change(row)
        return draw

    def sum_of():
        a, b = rng.randrange(20), rng.randrange(20)
        return f"{a} + {b}", str(a + b)

    def difference():
        a, b = rng.randrange(20), rng.randrange(20)
        return f"{max(a, b)} - {min(a, b)}", str(abs(a - b))

    def from_number(change):
        return lambda: (lambda number: (str(number), change(number)))(rng.choice(numbers))

    def greater():
        a, b = rng.sample(range(100), 2)
        return f"{a}, {b}", str(max(a, b))

    def look_up():
        keys, values = rng.sample(short, 3), rng.sample(words, 3)
        at = rng.randrange(3)
        return f"{', '.join(f'{key}={value}' for key, value in zip(keys, values))}; {keys[at]}", values[at]

    def has_letter(letter):
        word = rng.choice(words)
        return word, "yes" if letter in word else "no"

    def replaced(letters):
        old, new = str(letters).split(" by ")
        word = rng.choice([w for w in rng.sample(words, 12) if old in w] or words)
        return word, word.replace(old, new)

    copied = " ".join
    return [
        constant("upper", "Write in capitals.|Uppercase:|Shout it.|All capitals:|Make the letters big.", of_word(str.upper)),
        constant("lower", "Write in lower case.|Lowercase:|Make the letters small.|No capitals:", lambda: (lambda w: (w.upper(), w))(rng.choice(words))),
        constant("title", "Capitalise it.|Title case:|First letter large:|Begin with a capital.", of_word(str.capitalize)),
        constant("spell out", "Spell it letter by letter.|Spell:|Put spaces between the letters.", of_word(" ".join)),
        constant("join letters", "Join the letters.|Which word is it?|Take out the spaces.", lambda: (lambda w: (" ".join(w), w))(rng.choice(words))),
        constant("first letter", "First letter:|What letter does it start with?|Begins with:", of_word(lambda w: w[0])),
        constant("last letter", "Last letter:|What letter does it end with?|Ends with:", of_word(lambda w: w[-1])),
        constant("no vowels", "Remove the vowels.|Without vowels:|Leave out a, e, i, o, u.", of_word(lambda w: "".join(c for c in w if c not in VOWELS) or w)),
        constant("vowels", "Keep only the vowels.|Vowels:|Which vowels are in it?", of_word(lambda w: "".join(c for c in w if c in VOWELS) or "none")),
        constant("backwards", "Write it backwards.|Reverse:|Mirror the word.|Letters in reverse:", of_word(lambda w: w[::-1], short)),
        constant("count letters", "How many letters?|Number of letters:|Length:|Count the letters.", of_word(lambda w: str(len(w)))),
        constant("double", "Say it twice.|Twice:|Repeat the word.", of_word(lambda w: f"{w} {w}")),
        constant("starts with a vowel", "Does it start with a vowel?|Vowel first, yes or no?", of_word(lambda w: "yes" if w[0] in VOWELS else "no"), ("yes", "no")),
        constant("without first letter", "Drop the first letter.|Without the first letter:|Cut off the beginning.", of_word(lambda w: w[1:])),
        constant("without last letter", "Drop the last letter.|Without the last letter:|Cut off the end.", of_word(lambda w: w[:-1])),
        constant("three letters", "First three letters:|Shorten to three letters.|Abbreviate:", of_word(lambda w: w[:3])),
        with_choice("has a letter", "Is there an {} in it?|Does the word contain {}?|{}, yes or no?", lambda: rng.choice("aeiourstnl"), has_letter, ("yes", "no")),
        with_choice("replace a letter", "Replace {}.|Write {}.|Change {}.", lambda: " by ".join(rng.sample("aeiourstnl", 2)), replaced),
        with_choice("affix", "Add {}.|With {}:|Put {} on the word.", lambda: rng.choice(AFFIXES), lambda affix: (lambda w: (w, affixed(w, affix)))(rng.choice(words))),
        constant("copy", "Repeat.|Copy the text.|Write it again.|Say the same.", spaced(copied, 1, 4)),
        constant("reverse words", "Reverse the order of the words.|Words backwards:|Last word first.", spaced(lambda row: " ".join(row[::-1]))),
        constant("count words", "How many words?|Count the words.|Number of words:", spaced(lambda row: str(len(row)), 1, 6)),
        constant("sort words", "Sort alphabetically.|Alphabetical order:|From a to z:", listed(lambda row: ", ".join(sorted(row)), 2, 3)),
        constant("first of list", "First word:|Which comes first in the list?|Take the first one.", listed(lambda row: row[0])),
        constant("last of list", "Last word:|Which comes last in the list?|Take the last one.", listed(lambda row: row[-1])),
        with_choice("nth of list", "Give the {} word.|{}:|Which is the {}?", lambda: rng.choice(ORDINALS),
                    lambda nth: (lambda row: (", ".join(row), row[ORDINALS.index(nth)]))(some(4, 5))),
        constant("length compared", "Which word has more letters?|The long one:|Choose the word with most letters.",
                 lambda: (lambda a, b: (f"{a}, {b}", max(a, b, key=len)))(*rng.sample(words, 2))),
        constant("commas", "Put commas between the words.|Make a list.|Separate with commas.", spaced(", ".join)),
        constant("and", "Join with and.|Put and between the words.", listed(" and ".join, 2, 3)),
        constant("initials", "First letters of the words:|Initials:|Make an acronym.", spaced(lambda row: "".join(w[0] for w in row).upper(), 2, 4)),
        constant("look up", "Look it up.|Find the value.|What does the last word stand for?", look_up),
        constant("number to words", "Write the number in words.|In words:|Spell the number.", from_number(in_words)),
        constant("words to number", "Write the number in digits.|In digits:|As a figure:", lambda: (lambda n: (in_words(n), str(n)))(rng.choice(numbers))),
        constant("next number", "What comes next?|Next number:|One more:|Add one.", from_number(lambda n: str(n + 1))),
        constant("number before", "Number before:|One less:|Subtract one.", from_number(lambda n: str(n - 1) if n else "-1")),
        constant("even or odd", "Even or odd?|Is the number even or odd?|Parity:", from_number(lambda n: "odd" if n % 2 else "even"), ("even", "odd")),
        constant("greater", "Which number is greater?|Maximum:|The larger one:", greater),
        constant("add", "Add the numbers.|Sum:|What is the sum?|Plus:", sum_of),
        constant("subtract", "Subtract.|Difference:|Minus:", difference),
    ]
