"""Everyday words by kind, for classes and for the slots of sentences; and which words training never sees. Written for Promptlathe.

A tenth of the words is held out: `Pick(rng, held_out).word(words)` draws from the nine tenths, or only from the tenth, so that a probe of the trained model
measures the task and not its memory of the words. Which words those are depends on their letters alone.
"""
import random
import zlib
from collections.abc import Sequence

WORDS = {
    "animal": "dog cat horse cow pig sheep goat lion tiger bear wolf fox rabbit mouse rat squirrel elephant monkey zebra camel deer donkey otter badger hamster whale seal",
    "bird": "eagle owl hawk crow robin sparrow pigeon duck goose swan hen parrot penguin gull heron stork turkey falcon",
    "fish": "salmon trout tuna cod shark herring carp eel pike haddock sardine perch",
    "insect": "bee ant wasp beetle moth butterfly mosquito fly cricket ladybird grasshopper flea",
    "fruit": "apple pear banana orange lemon cherry grape plum peach melon mango apricot strawberry raspberry fig lime pineapple",
    "vegetable": "carrot potato onion cabbage tomato lettuce spinach pea bean leek pumpkin cucumber radish turnip celery",
    "food": "bread cheese butter soup rice pasta pizza cake honey egg sausage ham bacon pie sandwich salad biscuit pancake",
    "drink": "tea coffee milk water juice beer wine lemonade cocoa cider",
    "clothes": "shirt coat hat shoe sock dress skirt scarf glove jacket jumper boot belt trousers apron cap",
    "vehicle": "car bus train bicycle lorry van tram boat ship plane truck taxi tractor ferry motorbike helicopter canoe",
    "tool": "hammer saw drill spade shovel screwdriver spanner axe rake chisel pliers ladder knife scissors",
    "furniture": "chair table bed sofa desk shelf wardrobe stool bench cupboard lamp mirror",
    "building": "house church school hospital barn castle library museum factory shop hotel theatre tower mill bakery prison",
    "instrument": "piano guitar violin flute drum trumpet harp cello clarinet organ banjo",
    "colour": "red blue green yellow black white brown pink purple grey orange silver",
    "sport": "tennis football hockey golf cricket rugby swimming boxing rowing chess skating archery",
    "body": "head arm leg hand foot nose ear eye mouth knee finger elbow neck shoulder back",
    "family": "mother father sister brother uncle aunt cousin grandmother grandfather nephew niece",
    "job": "doctor teacher farmer baker nurse pilot painter lawyer soldier cook driver tailor plumber singer dentist butcher gardener sailor clerk writer",
    "country": "France Spain Italy Germany Japan China India Brazil Canada Egypt Kenya Norway Sweden Greece Poland Mexico Peru Turkey",
    "city": "Paris London Rome Berlin Madrid Tokyo Cairo Vienna Oslo Lisbon Dublin Athens Prague Moscow Boston Chicago Leeds Oxford Milan Lyon",
    "material": "wood stone glass paper gold iron plastic cotton wool leather clay steel",
    "shape": "circle square triangle cube sphere star oval cone",
    "number": "two three four five six seven eight nine ten eleven twelve twenty thirty forty",
    "month": "January February March April May June July August September October November December",
    "feeling": "joy anger fear pride shame hope envy grief love hate",
    "nature": "river mountain forest lake island beach desert valley hill cave field sea",
}
LABEL_WORDS = "red blue A B C D E 1 2 3 4 x y z foo bar left right up down alpha beta gamma sun moon cat dog north south one two apple stone".split()
TENTH, FEWEST = 10, 3


def is_held_out(word: str) -> bool:
    return zlib.crc32(word.lower().encode()) % TENTH == 0


class Pick:
    """Draws for one mixture: held_out False gives only words training may see, True only the others (all, if there are too few)."""

    def __init__(self, rng: random.Random, held_out: bool):
        self.rng, self.held_out = rng, held_out

    def allowed(self, entries: Sequence, word_of=lambda entry: entry) -> list:
        found = [entry for entry in entries if is_held_out(word_of(entry)) == self.held_out]
        return found if len(found) >= FEWEST else list(entries)

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """By the first of each pair."""
        return self.allowed(pairs, lambda pair: pair[0])
