"""Draws rows of every task with an instruction in front, as JSON lines of {task, input, output}: `python3 task_rows.py 40 > rows.jsonl`.

They come from the training mixture, so they measure what the model took from it, not what it makes of words it never saw.
"""
import json
import sys

from mixture import Mixture

SEED = 2  # training drew with 1


def main(rows: int) -> None:
    mixture = Mixture(SEED)
    for task, (instructions, draw) in mixture.tasks.items():
        for _ in range(rows):
            source, target = draw()
            print(json.dumps({"task": task, "input": f"{mixture.rng.choice(instructions)}\n{source}", "output": target}, ensure_ascii=False))


if __name__ == "__main__":
    main(int(sys.argv[1]))
