"""Families about what words mean and how they inflect. Knows the word lists; knows nothing of documents.

Held out on purpose, for the sample tasks (README.md): the -ing form, comparative and superlative, the topic of a definition or sentence.
"""
import re

import sources
from family import Maker, constant, with_choice
from lexicon import WORDS, Pick

KINDS_IN_A_LIST = 4


def kinds_of_words(net: sources.WordNet) -> dict[str, list[str]]:
    """Our own words and WordNet's; a word of two kinds stays in the first."""
    taken: set[str] = set()
    kinds = {}
    for kind in sorted({*WORDS, *net.kinds} - {"number", "material", "nature"}):
        own = WORDS.get(kind, "").split()
        words = [word for word in dict.fromkeys([*own, *net.kinds.get(kind, [])]) if word.lower() not in taken]
        taken |= {word.lower() for word in words}
        if len(words) >= 10:
            kinds[kind] = words
    return kinds


class Inflection:
    def __init__(self, net: sources.WordNet):
        self.net, self.irregular_past = net, sources.read_irregular_past()

    def s_form(self, word: str) -> str:
        if re.search(r"(s|x|z|ch|sh)$", word):
            return word + "es"
        return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"

    def plural(self, noun: str) -> str:
        return self.net.irregular_plurals.get(noun) or self.s_form(noun)

    def third(self, verb: str) -> str:
        return {"be": "is", "have": "has", "do": "does", "go": "goes"}.get(verb) or self.s_form(verb)

    def past(self, verb: str) -> str:
        irregular = self.irregular_past.get(verb) or self.net.doubled_pasts.get(verb)
        if irregular:
            return irregular
        if verb.endswith("e"):
            return verb + "d"
        return verb[:-1] + "ied" if re.search(r"[^aeiou]y$", verb) else verb + "ed"


def word_families(pick: Pick, net: sources.WordNet) -> list[Maker]:
    rng = pick.rng
    inflect = Inflection(net)
    of = lambda pairs: lambda: rng.choice(pairs)
    swapped = lambda pairs: [(there, here) for here, there in pairs]
    from_word = lambda words, change: lambda: (lambda word: (word, change(word)))(rng.choice(words))
    back = lambda words, change: lambda: (lambda word: (change(word), word))(rng.choice(words))
    nouns = pick.allowed(sorted({word for word, _ in net.categories if word.isalpha() and net.counts.get(word, 0) > 0}))
    verbs = pick.allowed(net.verbs)
    kinds = {kind: pick.allowed(words) for kind, words in kinds_of_words(net).items()}
    names = {kind: pick.allowed(words) for kind, words in sources.read_first_names().items()}
    words_of = {part: sorted({word for word, p in net.parts_of_speech if p == part}) for part in ("noun", "verb", "adjective", "adverb")}
    clear = [(word, part) for part, found in words_of.items() for word in found if sum(word in other for other in words_of.values()) == 1]
    pronounced = {word: sounds for word, sounds in sources.read_pronunciations().items() if net.counts.get(word, 0) > 0}
    syllables = pick.pairs([(word, str(count)) for word, sounds in sorted(pronounced.items())
                            if (count := sum(sound[-1].isdigit() for sound in sounds)) < 5])
    rhymes: dict[tuple, list[str]] = {}
    for word, sounds in sorted(pronounced.items()):
        last = max((at for at, sound in enumerate(sounds) if sound[-1] in "12"), default=0)
        rhymes.setdefault(tuple(sounds[last:]), []).append(word)
    rhymes = [found for found in map(pick.allowed, rhymes.values()) if len(found) > 3]

    glosses = pick.pairs([(word, definition) for word, definition, _ in net.glosses if net.counts.get(word.lower(), 0) > 0 and len(definition) < 90])

    def kind_of_word():
        kind = rng.choice(list(kinds))
        return rng.choice(kinds[kind]), kind

    def kind_among(chosen):
        kind = rng.choice(chosen)
        return rng.choice(kinds[kind]), kind

    def is_kind(kind):
        yes = rng.random() < 0.5
        other = rng.choice([name for name in kinds if name != kind])
        return rng.choice(kinds[kind if yes else other]), "yes" if yes else "no"

    def odd_one():
        kind, other = rng.sample(list(kinds), 2)
        odd = rng.choice(kinds[other])
        row = [*rng.sample(kinds[kind], min(3, len(kinds[kind]))), odd]
        rng.shuffle(row)
        return ", ".join(row), odd

    def member_in_list(kind):
        others = rng.sample([name for name in kinds if name != kind], rng.randint(1, 3))
        found = rng.choice(kinds[kind])
        row = [found, *(rng.choice(kinds[other]) for other in others)]
        rng.shuffle(row)
        return ", ".join(row), found

    def same_kind():
        a, b = rng.sample(list(kinds), 2)
        same = rng.random() < 0.5
        return f"{rng.choice(kinds[a])}, {rng.choice(kinds[a if same else b])}", "same" if same else "different"

    def rhyme_pair():
        same = rng.random() < 0.5
        first, second = rng.sample(rhymes, 2)
        return f"{rng.choice(first)}, {rng.choice(first if same else second)}", "yes" if same else "no"

    def first_name():
        kind = rng.choice(["female", "male"])
        return rng.choice(names[kind]), kind

    yes_no = ("yes", "no")
    return [
        constant("category", "What kind of thing is this?|Category:|Classify the word.|Say the category of the word.|Which class does the word belong to?",
                 of(pick.pairs(net.categories))),
        constant("kind", "What is it?|Kind:|Sort the word.|Which group does it belong to?|Name the kind of thing.", kind_of_word),
        with_choice("kind of a few", "Which of these is it: {}?|Choose from {}.|One of {}:",
                    lambda: _Listed(rng.sample(list(kinds), rng.randint(2, KINDS_IN_A_LIST))), kind_among, tuple(kinds)),
        with_choice("is it of a kind", "Is the word a kind of {}?|Does it belong to {}? Say yes or no.|{}, yes or no?", lambda: rng.choice(list(kinds)), is_kind, yes_no),
        constant("odd one out", "Which word does not belong?|Odd one out:|Find the word that does not fit.|Which one is different?", odd_one),
        with_choice("find the kind", "Which word is of the kind {}?|Find the {}.|Which of these belongs to {}?|{}:", lambda: rng.choice(list(kinds)), member_in_list),
        constant("same kind", "Same kind or different?|Are these of the same kind?|Compare the two words.", same_kind, ("same", "different")),
        constant("hypernym", "Give a more general word.|Is a kind of:|More general:|Hypernym:|What is it a kind of?", of(pick.pairs(net.hypernyms))),
        constant("synonym", "Give a synonym.|Synonym:|Same meaning:|Another word for it:", of(pick.pairs(net.synonyms))),
        constant("antonym", "Give the opposite.|Opposite:|Antonym:|The contrary:|What is the opposite?", of(pick.pairs(net.antonyms))),
        constant("part of speech", "Part of speech:|What part of speech is it?|Noun, verb, adjective or adverb?|Which word class?",
                 of(pick.pairs(clear)), ("noun", "verb", "adjective", "adverb")),
        constant("define", "Define the word.|Definition:|What does it mean?|Explain the word.", lambda: rng.choice(glosses)),
        constant("word for", "Which word means this?|Name it.|Word:|What is described here?", lambda: rng.choice(glosses)[::-1]),
        constant("plural", "Give the plural.|Plural:|Make it plural.|More than one:|Write the plural form.", from_word(nouns, inflect.plural)),
        constant("singular", "Give the singular.|Singular:|Make it singular.|Only one:", back(nouns, inflect.plural)),
        constant("past", "Give the past tense.|Past tense:|Put the verb in the past.|Yesterday:|Simple past:", from_word(verbs, inflect.past)),
        constant("present", "Give the verb in the present.|Present tense:|Infinitive:|Base form:", back(verbs, inflect.past)),
        constant("third person", "Give the third person.|He or she:|Third person singular:|Write the verb for he, she or it.", from_word(verbs, inflect.third)),
        constant("adverb", "Make an adverb.|Adverb:|Turn the adjective into an adverb.|In what way?", of(pick.pairs(net.adverbs))),
        constant("adjective", "Make an adjective.|Adjective:|Turn the adverb into an adjective.", of(swapped(pick.pairs(net.adverbs)))),
        constant("noun from verb", "Make a noun of the verb.|Noun:|Turn the verb into a noun.", of(pick.pairs(net.derived))),
        constant("verb from noun", "Which verb is it from?|Verb:|Turn the noun into a verb.", of(swapped(pick.pairs(net.derived)))),
        constant("article", "Add a or an.|Article:|With the article:|a or an?", from_word(nouns, lambda w: f"{'an' if w[0] in 'aeio' else 'a'} {w}")),
        constant("feeling of a word", "Is the word positive or negative?|Which feeling does the word carry?|Sentiment of the word:|Polarity:",
                 of(pick.pairs(sources.read_sentiments())), ("positive", "negative")),
        constant("first name", "Is the name female or male?|Gender of the name:|Female or male?|Whose name is it, a woman's or a man's? Say female or male.",
                 first_name, ("female", "male")),
        constant("syllables", "How many syllables?|Count the syllables.|Syllables:", of(syllables), ("1", "2", "3", "4")),
        constant("rhyme", "Do they rhyme?|Rhyme, yes or no?|Do the words sound alike at the end?", rhyme_pair, yes_no),
        constant("capital", "Of which country is it the capital?|Country:|The capital of which country?", of(pick.pairs(net.capitals))),
        constant("state", "What is the capital?|Capital:|Name the capital of the state.", of(pick.pairs(sources.read_state_capitals()))),
        constant("emoji", "Name the emoji.|Emoji name:|What does the picture show?", of(sources.read_emoji_names())),
    ]


class _Listed(list):
    def __str__(self) -> str:
        return ", ".join(self)
