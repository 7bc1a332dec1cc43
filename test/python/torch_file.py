"""What torch itself makes of .pt files: the other side of src/formats/torch-file.ts.

    torch_file.py save DIR    torch.save()s tensors of several kinds into DIR
    torch_file.py load FILE   torch.load()s FILE and prints what it holds as one JSON object

Needs torch (1.13 or newer). Run by test/unit/torch-file.test.ts where there is one.
"""

import inspect
import json
import sys
from pathlib import Path

import torch


def tensors():
    """Name -> what to save. The first four are prompts one can read; the others must be refused."""
    values = torch.tensor([[0.5, -1.25, 3.0e-5], [7.0, -0.0, 65504.0]])
    table = torch.arange(12.0).reshape(4, 3)
    return {
        "float32": values,
        "float16": values.half(),
        "bfloat16": values.bfloat16(),
        "rows_of_larger": table[1:3],
        "not_contiguous": table.T,
        "every_other_row": table[::2],
        "float64": values.double(),
        "vector": values[0],
        "parameter": torch.nn.Parameter(values),
        "dictionary": {"prompt_embeddings": values},
        "list": [values],
    }


def load(path):
    options = {"map_location": "cpu", "weights_only": True}
    tensor = torch.load(path, **options)
    result = {
        "torch": torch.__version__,
        "dtype": str(tensor.dtype),
        "shape": list(tensor.shape),
        "stride": list(tensor.stride()),
        "requires_grad": tensor.requires_grad,
        "values": tensor.double().flatten().tolist(),
    }
    # Newer torch can map a file into memory, which needs every record where the format says.
    if "mmap" in inspect.signature(torch.load).parameters:
        assert torch.equal(torch.load(path, mmap=True, **options), tensor)
    return result


def main(command, path):
    if command == "save":
        for name, value in tensors().items():
            torch.save(value, Path(path) / f"{name}.pt")
    elif command == "load":
        print(json.dumps(load(path)))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
