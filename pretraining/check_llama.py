"""Holds llama.py against transformers: `python check_llama.py`. Needs transformers; prints the largest difference of the logits and fails above 1e-4."""
import tempfile

import torch
from transformers import LlamaForCausalLM

from llama import MASKED, Llama
from train import CONFIG


@torch.no_grad()
def main() -> None:
    torch.manual_seed(0)
    ours = Llama(CONFIG).initialise().eval()
    for parameter in ours.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)  # nothing at its neutral value
    with tempfile.TemporaryDirectory() as folder:
        ours.save(folder)
        theirs = LlamaForCausalLM.from_pretrained(folder).eval()
    ids, mask = torch.randint(1, CONFIG["vocab_size"], (2, 12)), torch.ones(2, 12, dtype=torch.long)
    mask[1, :3] = 0  # padding on the left
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    bias = torch.where(torch.ones(12, 12).triu(1).bool()[None, None] | (mask[:, None, None] == 0), MASKED, 0.0)
    got = ours.logits(ours.hidden(ours.model.embed_tokens(ids), positions, bias)[0])
    want = theirs(input_ids=ids, attention_mask=mask, position_ids=positions).logits
    plain = ours.logits(ours.hidden(ours.model.embed_tokens(ids[:1]), torch.arange(12))[0])
    worst = max(float((got - want)[mask.bool()].abs().max()), float((plain - want[:1]).abs().max()))
    print(f"largest difference {worst:.2e} on logits up to {float(want.abs().max()):.1f}")
    if not worst < 1e-4:
        raise SystemExit("llama.py is not transformers' Llama")


if __name__ == "__main__":
    main()
