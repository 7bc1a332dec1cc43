"""The pretraining mixture: plain text, and small tasks phrased many ways and shown as few-shot lists, so that a soft prompt
can find the task later. Knows documents; knows nothing of tokenizers or models.
"""
import random
import re

import sources

UNITS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
         "eighteen nineteen").split()
TENS = ["", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split()]
GOOD = ("good great excellent wonderful superb delightful amazing brilliant lovely fantastic charming enjoyable perfect "
        "beautiful fun moving clever touching impressive").split()
BAD = ("bad awful terrible boring dull poor horrible dreadful weak stupid disappointing ugly tedious annoying lifeless "
       "sloppy clumsy bland painful").split()
THINGS = "movie film book meal song story show hotel service phone play game plot acting music restaurant ending cast script room".split()


def in_words(number: int) -> str:
    if number < 20:
        return UNITS[number]
    return TENS[number // 10] + ("" if number % 10 == 0 else "-" + UNITS[number % 10])


class Mixture:
    """Draws documents. Deterministic for a seed."""

    def __init__(self, seed: int = 1):
        self.rng = rng = random.Random(seed)
        self.net = net = sources.read_wordnet(rng)
        self.irregular_past = sources.read_irregular_past()
        self.words = [word for word in net.counts if word.isalpha() and 2 < len(word) < 11]
        rng.shuffle(self.words)
        long_words = [word for word in self.words if len(word) > 4]
        nouns = sorted({word for word, _ in net.categories if word.isalpha() and net.counts.get(word, 0) > 0})
        emoji = sources.read_emoji_names()
        of = lambda pairs: lambda: rng.choice(pairs)
        from_word = lambda words, change: lambda: (lambda word: change(word))(rng.choice(words))
        # task -> (instructions, draw an (input, output) pair)
        self.tasks = {
            "category": (["What kind of thing is this?", "Category:", "Classify the word.", "Say the category of the word."], of(net.categories)),
            "hypernym": (["Give a more general word.", "Is a kind of:", "More general:"], of(net.hypernyms)),
            "synonym": (["Give a synonym.", "Synonym:", "Same meaning:"], of(net.synonyms)),
            "antonym": (["Give the opposite.", "Opposite:", "Antonym:"], of(net.antonyms)),
            "part of speech": (["Part of speech:", "What part of speech is it?"], of(net.parts_of_speech)),
            "define": (["Define the word.", "Definition:", "What does it mean?"], lambda: rng.choice(net.glosses)[:2]),
            "plural": (["Give the plural.", "Plural:", "Make it plural."], from_word(nouns, lambda w: (w, self.plural(w)))),
            "past": (["Give the past tense.", "Past tense:", "Put the verb in the past."], from_word(net.verbs, lambda w: (w, self.past(w)))),
            "upper": (["Write in capitals.", "Uppercase:", "Shout it."], from_word(self.words, lambda w: (w, w.upper()))),
            "lower": (["Write in lower case.", "Lowercase:"], from_word(self.words, lambda w: (w.upper(), w))),
            "title": (["Capitalise it.", "Title case:"], from_word(self.words, lambda w: (w, w.capitalize()))),
            "spell out": (["Spell it letter by letter.", "Spell:"], from_word(self.words, lambda w: (w, " ".join(w)))),
            "first letter": (["First letter:", "What letter does it start with?"], from_word(self.words, lambda w: (w, w[0]))),
            "last letter": (["Last letter:", "What letter does it end with?"], from_word(self.words, lambda w: (w, w[-1]))),
            "fix spelling": (["Fix the spelling.", "Correct:"], from_word(long_words, lambda w: (self.typo(w), w))),
            "topic": (["What is it about?", "Topic:"], of(net.definition_topics)),
            "emoji": (["Name the emoji.", "Emoji name:"], of(emoji)),
            "number to words": (["Write the number in words.", "In words:"], from_word(range(100), lambda n: (str(n), in_words(n)))),
            "words to number": (["Write the number in digits.", "In digits:"], from_word(range(100), lambda n: (in_words(n), str(n)))),
            "add": (["Add the numbers.", "Sum:"], self.sum),
            "sentiment": (["Is it positive or negative?", "Sentiment:", "How does the writer feel?"], self.opinion),
            "copy": (["Repeat.", "Copy the text."], self.copy),
        }

    def texts(self) -> list[str]:
        return sources.read_texts(self.net, self.rng)

    def task_document(self) -> str:
        """One example with its instruction, a few-shot list without one, or a list under an instruction."""
        instructions, draw = self.tasks[self.rng.choice(list(self.tasks))]
        shape, instruction = self.rng.random(), self.rng.choice(instructions)
        line = lambda: "{} -> {}".format(*draw())
        if shape < 0.45:
            return f"{instruction}\n{line()}"
        examples = "\n".join(line() for _ in range(self.rng.randint(2, 6)))
        return examples if shape < 0.8 else f"{instruction}\n{examples}"

    def task_pair(self) -> tuple[str, str]:
        """For an encoder-decoder: a source (the instruction and an input, or a few-shot list ending in an open line) and its target."""
        instructions, draw = self.tasks[self.rng.choice(list(self.tasks))]
        shape, instruction = self.rng.random(), self.rng.choice(instructions)
        source, target = draw()
        if shape < 0.6:
            return f"{instruction}\n{source}", target
        examples = "\n".join("{} -> {}".format(*draw()) for _ in range(self.rng.randint(2, 5)))
        listed = f"{examples}\n{source} ->"
        return (listed if shape < 0.8 else f"{instruction}\n{listed}"), target

    def plural(self, noun: str) -> str:
        if noun in self.net.irregular_plurals:
            return self.net.irregular_plurals[noun]
        if re.search(r"(s|x|z|ch|sh)$", noun):
            return noun + "es"
        return noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"

    def past(self, verb: str) -> str:
        if verb in self.irregular_past:
            return self.irregular_past[verb]
        if verb.endswith("e"):
            return verb + "d"
        return verb[:-1] + "ied" if re.search(r"[^aeiou]y$", verb) else verb + "ed"

    def typo(self, word: str) -> str:
        kind, at = self.rng.randrange(4), self.rng.randrange(1, len(word) - 1)
        if kind == 0:
            return word[:at] + word[at + 1:]  # a letter left out
        if kind == 1:
            return word[:at] + word[at] + word[at:]  # doubled
        if kind == 2:
            return word[:at] + word[at + 1] + word[at] + word[at + 2:]  # swapped
        return word[:at] + self.rng.choice("aeioustrn") + word[at + 1:]  # replaced

    def sum(self) -> tuple[str, str]:
        a, b = self.rng.randrange(20), self.rng.randrange(20)
        return f"{a} + {b}", str(a + b)

    def copy(self) -> tuple[str, str]:
        text = " ".join(self.rng.sample(self.words, self.rng.randint(1, 4)))
        return text, text

    def opinion(self) -> tuple[str, str]:
        """A short opinion from templates; every adjective agrees with the label."""
        good = self.rng.random() < 0.5
        words = GOOD if good else BAD
        a, b, thing, other = self.rng.choice(words), self.rng.choice(words), self.rng.choice(THINGS), self.rng.choice(THINGS)
        text = self.rng.choice([
            f"the {thing} was {a}", f"a {a} {thing}", f"what a {a} {thing} , and the {other} is {b}", f"i thought the {thing} was {a} and {b}",
            f"this {thing} is really {a}", f"{a} {thing} with a {b} {other}", f"i {'loved' if good else 'hated'} the {thing}",
            f"the {other} is {a} , i would {'' if good else 'not '}recommend this {thing}",
            f"{'always' if good else 'never'} {a} , this {thing} {'works' if good else 'fails'}",
        ])
        return text, "positive" if good else "negative"
