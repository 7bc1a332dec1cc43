"""Rows of every family of words that training never sees, as JSON lines of {task, shape, context, input, output}: `python3 task_rows.py 4 > rows.jsonl`.

accuracy.ts asks the exported models.
"""
import json
import sys

from probing import examples


def main(each: int) -> None:
    for one in examples(each):
        row = {"task": one.family, "shape": one.shape, "context": one.context, "input": one.source, "output": one.target}
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main(int(sys.argv[1]))
