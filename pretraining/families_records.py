"""Families that turn a record into a sentence and back. Knows the lexicon; knows nothing of documents.

Held out on purpose, for the sample tasks (README.md): reports of the weather, and prices, which a record read from a sentence would take out of it.
"""
from family import Maker, with_choice
from lexicon import Pick
from phrases import Phrases, plural

# name of the family, instructions, fields (kinds, or "person", "age", "size", "goals"), sentences: one is chosen for a document
FRAMES = [
    ("person", "Write a sentence about the person.|Introduce the person.|Say who it is.", "person age city",
     "{person} is {age} years old and lives in {city}.|Meet {person}, aged {age}, from {city}.|{person} from {city} is {age}.|In {city} lives {person}, who is {age}."),
    ("job", "Say what the person does.|Write a sentence about the job.|Present the worker.", "person job city",
     "{person} works as a {job} in {city}.|The {job} {person} lives in {city}.|{city} has a new {job}: {person}.|{person} is the best {job} of {city}."),
    ("shop", "Write an offer.|Advertise the goods.|Make a sign for it.", "thing colour size",
     "Buy this {colour} {thing} in size {size}!|The {colour} {thing} is of size {size}.|For sale: a {thing}, {colour}, size {size}.|Today we have the {thing} in {colour}, size {size}."),
    ("pet", "Describe the pet.|Write about the animal.|Say whose animal it is.", "person colour animal",
     "{person} has a {colour} {animal}.|The {colour} {animal} belongs to {person}.|{person}'s {animal} is {colour}.|Look, the {animal} of {person} is all {colour}!"),
    ("trip", "Describe the trip.|Announce the journey.|Write about the travel.", "vehicle city other_city",
     "The {vehicle} goes from {city} to {other_city}.|We take the {vehicle} from {city} to {other_city}.|Travel by {vehicle}: {city} to {other_city}.|From {city} a {vehicle} leaves for {other_city}."),
    ("dish", "Describe the dish.|Write the menu.|Say what is in it.", "food vegetable drink",
     "Today we serve {food} with {vegetable} and {drink}.|A plate of {food} with {vegetable}, and {drink} to drink.|Our cook made {food}, {vegetable} and {drink}.|Try the {food} with {vegetable}; it goes with {drink}."),
    ("match", "Report the score.|Write about the match.|Tell the result.", "city other_city goals fewer",
     "{city} beat {other_city} by {goals} to {fewer}.|{goals} to {fewer}: {city} wins against {other_city}.|{other_city} lost to {city}, {fewer} to {goals}.|It ended {goals} to {fewer} for {city} against {other_city}."),
    ("stock", "Say what is there.|Describe the stock.|Count the things.", "number thing place",
     "There are {number} {thing}s in the {place}.|The {place} holds {number} {thing}s.|We counted {number} {thing}s in the {place}.|In the {place} you find {number} {thing}s."),
]
KINDS = {"thing": ["clothes", "furniture", "tool"], "place": ["building"]}


def record_families(pick: Pick, phrases: Phrases) -> list[Maker]:
    rng = pick.rng

    def values(fields: list[str]) -> dict[str, str]:
        goals = rng.randint(1, 7)
        made = {"person": phrases.person(), "age": str(rng.randint(5, 90)), "size": str(rng.randint(20, 60)), "goals": str(goals), "fewer": str(rng.randrange(goals))}
        made["city"], made["other_city"] = rng.sample(phrases.words["city"], 2)
        return {field: made[field] if field in made else phrases.word(rng.choice(KINDS.get(field, [field]))) for field in fields}

    def record(chosen: dict[str, str], keyed: bool) -> str:
        label = lambda field: field.replace("other_city", "to").replace("fewer", "against")
        return "; ".join(f"{label(field)}: {value}" for field, value in chosen.items()) if keyed else ", ".join(chosen.values())

    def sentence(frame: str, chosen: dict[str, str]) -> str:
        several = {f"{{{field}}}s": plural(value) for field, value in chosen.items()}
        for slot, value in [*several.items(), *((f"{{{field}}}", value) for field, value in chosen.items())]:
            frame = frame.replace(slot, value)
        return frame.replace(" a a", " an a").replace(" a e", " an e").replace(" a i", " an i").replace(" a o", " an o")

    def makers(name: str, instructions: str, fields: list[str], frames: list[str]) -> list[Maker]:
        style = lambda: (rng.choice(frames), rng.random() < 0.4)

        def write(chosen_style):
            frame, keyed = chosen_style
            chosen = values(fields)
            return record(chosen, keyed), sentence(frame, chosen)

        def read(chosen_style):
            source, target = write(chosen_style)
            return target, source

        return [with_choice(f"write {name}", instructions, style, write),
                with_choice(f"read {name}", f"List the facts: {', '.join(fields).replace('_', ' ')}.|Make a record.|Data:|Take out {', '.join(fields).replace('_', ' ')}.", style, read)]

    return [maker for name, instructions, fields, frames in FRAMES for maker in makers(name, instructions, fields.split(), frames.split("|"))]
