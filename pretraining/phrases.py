"""Short natural sentences with known parts (who, what, where, which colour ...), for the families on sentences. Written for Promptlathe.

Knows English frames and the lexicon; knows nothing of tasks. Days, times and amounts of money occur as ordinary parts; no family asks for them.
"""
from dataclasses import dataclass

import sources
from lexicon import WORDS, Pick

# base, third person, past, objects it takes (kinds of the lexicon)
VERBS = [line.split() for line in """
like likes liked animal,food,drink,colour,sport,city
see sees saw animal,vehicle,building,bird
buy buys bought food,fruit,clothes,tool,vehicle
want wants wanted food,fruit,clothes,animal,instrument
find finds found tool,clothes,animal,fruit
need needs needed tool,clothes,furniture,vehicle
sell sells sold vehicle,furniture,fruit,vegetable
paint paints painted furniture,building,vehicle
carry carries carried furniture,tool,fruit,instrument
eat eats ate food,fruit,vegetable
cook cooks cooked food,vegetable,fish
drink drinks drank drink
play plays played instrument,sport
clean cleans cleaned vehicle,furniture,building
wear wears wore clothes
feed feeds fed animal,bird
hide hides hid tool,fruit,clothes
draw draws drew animal,bird,building,fruit
lose loses lost clothes,tool,instrument
watch watches watched bird,sport,animal
visit visits visited city,building,country
open opens opened building,cupboard
""".strip().splitlines()]
TIMES = ("on Monday|on Tuesday|on Wednesday|on Thursday|on Friday|on Saturday|on Sunday|every day|in the morning|at night|at noon|at five o'clock|in spring|"
         "last week|after lunch|before dinner|in June|in winter|at half past two|this afternoon").split("|")
AMOUNTS = "for $5|for 20 dollars|for 3 euros|for £12|for ten pounds|for $99|for free".split("|")
COMMON_FEMALE = "Anna Mary Emma Lucy Julia Sarah Alice Helen Laura Eva Nina Clara Rosa Maria Ruth Jane Olivia Sophie Grace Ella".split()
COMMON_MALE = "Tom John Peter Paul David Max Ben Daniel Jack Henry Oscar Felix Simon Mark Adam Leo Martin Hugo George Frank".split()
UNCOUNTED = {"food", "drink", "sport", "city", "country", "colour", "material"}


@dataclass
class Sentence:
    """Its parts as they stand in `text()`; what is empty does not occur."""

    name: str
    female: bool
    verb: list[str]  # base, third person, past
    thing: str
    kind: str
    colour: str = ""
    number: str = ""
    city: str = ""
    time: str = ""
    amount: str = ""
    material: str = ""

    @property
    def object(self) -> str:
        if self.kind in UNCOUNTED:
            return f"the {self.thing}" if self.kind in ("food", "drink") and self.colour else self.thing
        noun = f"{self.colour} {self.thing}".strip()
        if self.number:
            return f"{self.number} {plural(noun)}"
        return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"

    @property
    def tail(self) -> str:
        parts = [self.amount, f"in {self.city}" if self.city else "", self.time]
        return "".join(f" {part}" for part in parts if part)

    def text(self, tense: str = "past") -> str:
        base, third, past = self.verb[:3]
        form = {"past": past, "present": third, "future": f"will {base}"}[tense]
        return f"{self.name} {form} {self.object}{self.tail}"

    def negated(self, tense: str) -> str:
        helper = {"past": "did not", "present": "does not", "future": "will not"}[tense]
        return f"{self.name} {helper} {self.verb[0]} {self.object}{self.tail}"

    def asked(self, tense: str) -> str:
        helper = {"past": "Did", "present": "Does", "future": "Will"}[tense]
        return f"{helper} {self.name} {self.verb[0]} {self.object}{self.tail}?"

    def passive(self) -> str:
        if self.number:
            raise ValueError("a passive of several things needs were")
        return f"{self.object[0].upper()}{self.object[1:]} was {participle(self.verb)} by {self.name}{self.tail}"


def plural(noun: str) -> str:
    irregular = {"goose": "geese", "mouse": "mice", "wolf": "wolves", "sheep": "sheep", "deer": "deer", "foot": "feet", "shelf": "shelves", "knife": "knives",
                 "scarf": "scarves", "scissors": "scissors", "pliers": "pliers", "trousers": "trousers", "trout": "trout", "salmon": "salmon", "cod": "cod"}
    head, _, last = noun.rpartition(" ")
    made = irregular.get(last) or (last + "es" if last[-1] in "sxz" or last[-2:] in ("ch", "sh", "to") else last[:-1] + "ies" if last[-1] == "y" and last[-2] not in "aeiou" else last + "s")
    return f"{head} {made}".strip()


def participle(verb: list[str]) -> str:
    return {"see": "seen", "eat": "eaten", "drink": "drunk", "wear": "worn", "hide": "hidden", "draw": "drawn"}.get(verb[0], verb[2])


class Phrases:
    """Draws sentences of words that the mixture may use."""

    def __init__(self, pick: Pick):
        self.rng = pick.rng
        self.words = {kind: pick.allowed(words.split()) for kind, words in WORDS.items()}
        rare = sources.read_first_names()
        self.female, self.male = pick.allowed(COMMON_FEMALE), pick.allowed(COMMON_MALE)
        self.rare = {True: pick.allowed(rare["female"]), False: pick.allowed(rare["male"])}

    def word(self, kind: str) -> str:
        return self.rng.choice(self.words[kind])

    def name(self, female: bool) -> str:
        return self.rng.choice(self.rare[female] if self.rng.random() < 0.3 else self.female if female else self.male)

    def person(self) -> str:
        return self.name(self.rng.random() < 0.5)

    def sentence(self, *needed: str, some: float = 0.3) -> Sentence:
        """`needed` parts are there, others with probability `some`. A colour or number needs something that can be counted; "animal" sets its kind."""
        rng = self.rng
        kind_needed = next((part for part in needed if part in WORDS and part not in ("colour", "number", "city", "material")), None)
        counted = "colour" in needed or "number" in needed or "single" in needed
        while True:
            verb = rng.choice(VERBS)
            kinds = [kind for kind in verb[3].split(",") if kind in WORDS and (not counted or kind not in UNCOUNTED)]
            if "city" in needed:
                kinds = [kind for kind in kinds if kind not in ("city", "country")]
            if kind_needed:
                kinds = [kind for kind in kinds if kind == kind_needed]
            if kinds:
                break
        kind, female = rng.choice(kinds), rng.random() < 0.5
        has = lambda part, share=1.0: part in needed or rng.random() < some * share
        countable = kind not in UNCOUNTED
        return Sentence(
            self.name(female), female, verb, self.word(kind), kind,
            colour=self.word("colour") if countable and has("colour") else "",
            number=self.word("number") if "number" in needed or countable and "single" not in needed and has("number", 0.7) else "",
            city=self.word("city") if has("city") and kind not in ("city", "country") else "",
            time=rng.choice(TIMES) if has("time") else "",
            amount=rng.choice(AMOUNTS) if verb[0] in ("buy", "sell") and rng.random() < 0.4 else "")
