"""What a family of tasks is: ways to ask for it and a way to draw (input, output) pairs. Knows nothing of words, documents or models."""
from collections.abc import Callable
from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass
class Family:
    """One task, fixed for a document: all its pairs follow the same rule."""

    name: str
    instructions: list[str]
    draw: Callable[[], Pair]
    labels: tuple[str, ...] = ()  # of a classification, whose labels may be renamed


# Makes a family for the next document; those with a parameter (which letter, which kind) choose it anew.
Maker = Callable[[], Family]


def constant(name: str, instructions: str, draw: Callable[[], Pair], labels: tuple[str, ...] = ()) -> Maker:
    """instructions: separated by |"""
    family = Family(name, instructions.split("|"), draw, labels)
    return lambda: family


def with_choice(name: str, instructions: str, choose: Callable[[], object], draw: Callable[[object], Pair], labels: tuple[str, ...] = ()) -> Maker:
    """`choose` gives a document's parameter, which stands for {} in the instructions and is handed to every draw."""
    def make() -> Family:
        parameter = choose()
        return Family(name, [text.replace("{}", str(parameter)) for text in instructions.split("|")], lambda: draw(parameter), labels)
    return make
