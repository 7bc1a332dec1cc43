"""The exported job's sequence building on cases from standard input: prints one JSON result for each. Needs Python 3.8 alone.

    sequences_cases.py FOLDER_OF_SEQUENCES_PY < cases.json

Run by test/unit/python-job.test.ts, which compares the results with src/tuning/sequences.ts. The tokenizer is the tests' own:
0 is BOS, 1 is EOS, then printable ASCII; anything else is one unknown id.
"""

import json
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from sequences import Limits, build_sequence  # noqa: E402

FIRST, PRINTABLE = 2, "".join(chr(32 + i) for i in range(95))


class CharTokenizer:
    eos_token_id = 1
    pad_token_id = None

    def __init__(self, bos, eos):
        self.bos_token_id = 0 if bos else None
        self.eos = eos

    def encode(self, text, add_special_tokens):
        ids = [FIRST + PRINTABLE.index(c) if c in PRINTABLE else FIRST + len(PRINTABLE) for c in text]
        if not add_special_tokens:
            return ids
        return ([] if self.bos_token_id is None else [self.bos_token_id]) + ids + ([1] if self.eos else [])


def result(case):
    tokenizer = CharTokenizer(case["bos"], case["eos"])
    try:
        sequence = build_sequence(case["example"], case["verbalizer"], Limits(**case["limits"]), tokenizer, 0, case["preset"])
    except ValueError as error:
        return {"error": str(error)}
    return vars(sequence)


print(json.dumps([result(case) for case in json.load(sys.stdin)]))
