"""Examples of every family made of words that training never sees, told what to do or shown a list; and a summary of how many were right.

Knows the mixture; knows nothing of models. The trainers ask them now and then, probe.py and task_rows.py at the end.
"""
from collections import defaultdict
from dataclasses import dataclass

from mixture import Mixture

LISTED = 5  # lines of a list
SHAPES = ("instructed", "few-shot")


@dataclass
class Example:
    family: str
    shape: str
    context: str  # the instruction or the list, with its line break
    source: str
    target: str


def examples(each: int) -> list[Example]:
    """`each` of every family and shape; the same ones every time."""
    mixture = Mixture(held_out=True)
    mixture.reseed("probe")
    made = []
    for make in (maker for group in mixture.groups for maker in group):
        for _ in range(each):
            family = make()
            source, target = family.draw()
            listed = "".join("{} -> {}\n".format(*family.draw()) for _ in range(LISTED))
            made += [Example(family.name, shape, context, source, target)
                     for shape, context in zip(SHAPES, (f"{family.instructions[0]}\n", listed))]
    return made


def shares(found: list[Example], right: list[bool]) -> dict[str, dict[str, float]]:
    """shape -> family -> share of right answers; a family's name of "" is all of them."""
    counts: dict[str, dict[str, list[bool]]] = {shape: defaultdict(list) for shape in SHAPES}
    for example, correct in zip(found, right):
        counts[example.shape][example.family].append(correct)
        counts[example.shape][""].append(correct)
    return {shape: {family: round(sum(answers) / len(answers), 2) for family, answers in families.items()} for shape, families in counts.items()}


def summary(found: list[Example], right: list[bool]) -> dict:
    """For a trainer's log."""
    share = shares(found, right)
    families = share["instructed"]
    return {"instructed": families.pop(""), "few_shot": share["few-shot"][""], "families": families}
