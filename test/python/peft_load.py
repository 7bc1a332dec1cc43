"""What PEFT makes of an adapter folder: loads it onto a tiny random model of its width and prints every task's prompt as JSON.

    peft_load.py ADAPTER_DIR

Needs torch, transformers and peft. Run by test/unit/peft-load.test.ts where there are these.
"""

import json
import sys
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import load_file


def base_model(config):
    """A random one-layer model that the adapter fits."""
    width = config["token_dim"]
    if config["task_type"] == "CAUSAL_LM":
        sizes = transformers.GPT2Config(n_embd=width, n_layer=1, n_head=1, vocab_size=32, n_positions=64)
        return transformers.GPT2LMHeadModel(sizes)
    sizes = transformers.T5Config(d_model=width, d_kv=4, d_ff=8, num_layers=1, num_heads=1, vocab_size=32)
    model = transformers.T5ForConditionalGeneration(sizes)
    # peft 0.21 looks for a method that transformers 5 no longer has, and never calls it for prompt learning's forward.
    if not hasattr(model, "_prepare_encoder_decoder_kwargs_for_generation"):
        model._prepare_encoder_decoder_kwargs_for_generation = None
    return model


def main(folder):
    config = json.loads((Path(folder) / "adapter_config.json").read_text())
    model = peft.PeftModel.from_pretrained(base_model(config), folder)
    prompts = []
    for task in range(config.get("num_tasks") or 1):
        prompts.append(model.get_prompt(batch_size=1, task_ids=torch.tensor([task]))[0])
    # Saved again, the tensors are what they were.
    saved = Path(folder) / "saved_by_peft"
    model.save_pretrained(saved)
    ours = load_file(Path(folder) / "adapter_model.safetensors")
    theirs = load_file(saved / "adapter_model.safetensors")
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    print(
        json.dumps(
            {
                "class": type(model).__name__,
                "peft_type": model.peft_config["default"].peft_type.value,
                "prompts": [prompt.detach().double().tolist() for prompt in prompts],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
