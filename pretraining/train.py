"""Trains the causal embedded model from scratch: `python train.py OUT UNTIL_STEP`, then `python train.py OUT --decay STEPS DESTINATION`.

Goes on from OUT/state.pt if there is one, else from the checkpoint in OUT/initial if there is one (whose tokenizer.json must be in OUT). Llama-style, 6 layers, width 192, 6 heads over 3 key/value heads, byte-level BPE of 4,096, tied embeddings:
3.2 M parameters. Rows are whole documents of the mixture end to end; of a task only the answers are learnt. Needs torch and tokenizers.
"""
import os
import shutil
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy

from llama import Llama
from mixture import Mixture, Segment
from probing import examples, summary
from training import Muon, Run, command_line

VOCAB, BATCH, LENGTH, TEXT_SHARE = 4096, 16, 256, 0.22  # the share is of documents
MATRIX_RATE, TABLE_RATE = 5e-4, 2e-3
END, END_ID = "<|endoftext|>", 0
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 6,
    "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 32, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True, "bos_token_id": END_ID, "eos_token_id": END_ID,
    "pad_token_id": END_ID, "use_cache": True, "torch_dtype": "float32",
}
Tokens = tuple[list[int], list[bool]]  # ids, and which of them are learnt


def tokenizer_for(mixture: Mixture, path: str) -> Tokenizer:
    if not os.path.exists(path):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        mixture.reseed("tokenizer")
        sample = [mixture.text() for _ in range(60_000)] + ["".join(text for text, _ in mixture.document()) for _ in range(60_000)]
        tokenizer.train_from_iterator(sample, trainers.BpeTrainer(
            vocab_size=VOCAB, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        tokenizer.save(path)
    return Tokenizer.from_file(path)


def tokens_of(tokenizer: Tokenizer, segments: list[Segment]) -> Tokens:
    """The token behind an answer is learnt, too: it ends it."""
    ids: list[int] = []
    learnt: list[bool] = []
    after = False
    for (_, wanted), encoding in zip(segments, tokenizer.encode_batch([text for text, _ in segments])):
        ids += encoding.ids
        learnt += [wanted] * len(encoding.ids)
        if after and not wanted and encoding.ids:
            learnt[-len(encoding.ids)] = True
        after = wanted
    return [*ids, END_ID], [*learnt, after]


class Rows:
    def __init__(self, mixture: Mixture, tokenizer: Tokenizer):
        self.mixture, self.tokenizer = mixture, tokenizer

    def row(self) -> Tokens:
        """Whole documents, the last one cut, LENGTH + 1 tokens."""
        ids: list[int] = []
        learnt: list[bool] = []
        while len(ids) <= LENGTH:
            text = self.mixture.rng.random() < TEXT_SHARE
            more = tokens_of(self.tokenizer, [(self.mixture.text(), True)] if text else self.mixture.document())
            ids, learnt = ids + more[0], learnt + more[1]
        return ids[:LENGTH + 1], learnt[:LENGTH + 1]

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.mixture.reseed(f"causal {step}")
        rows = [self.row() for _ in range(BATCH)]
        return torch.tensor([ids for ids, _ in rows]), torch.tensor([learnt for _, learnt in rows])


def loss_on(model: Llama, ids: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """Logits are made where a token is learnt only."""
    wanted = learnt[:, 1:].flatten()
    with torch.autocast("cpu", torch.bfloat16):
        hidden, _ = model.hidden(model.model.embed_tokens(ids[:, :-1]), torch.arange(ids.shape[1] - 1))
        logits = model.logits(hidden.flatten(0, 1)[wanted])
    return cross_entropy(logits.float(), ids[:, 1:].flatten()[wanted])


@torch.no_grad()
def right_answers(model: Llama, documents: list[Tokens]) -> list[bool]:
    """Whether greedy decoding gives each document's answer: every token of it is the likeliest after those before."""
    right = []
    for start in range(0, len(documents), 32):
        some = documents[start:start + 32]
        longest = max(len(ids) for ids, _ in some)
        ids = torch.tensor([ids + [END_ID] * (longest - len(ids)) for ids, _ in some])
        with torch.autocast("cpu", torch.bfloat16):
            hidden, _ = model.hidden(model.model.embed_tokens(ids[:, :-1]), torch.arange(longest - 1))
            said = model.logits(hidden).argmax(-1)
        for row, (_, learnt) in enumerate(some):
            first, end = learnt.index(True), len(learnt)  # the answer and END behind it
            right.append(bool((said[row, first - 1:end - 1] == ids[row, first:end]).all()))
    return right


class Probe:
    def __init__(self, tokenizer: Tokenizer, model: Llama, each: int = 2):
        self.model, self.examples = model, examples(each)
        self.documents = [tokens_of(tokenizer, [(f"{one.context}{one.source} ->", False), (f" {one.target}", True)]) for one in self.examples]

    def right(self) -> list[bool]:
        return right_answers(self.model, self.documents)

    def __call__(self) -> dict:
        return summary(self.examples, self.right())


def start(out: str) -> Run:
    mixture = Mixture()
    tokenizer = tokenizer_for(mixture, f"{out}/tokenizer.json")
    rows, model = Rows(mixture, tokenizer), Llama(CONFIG).initialise()
    if os.path.exists(f"{out}/initial"):
        model.load_state_dict(Llama.load(f"{out}/initial").state_dict())
    matrices = [parameter for name, parameter in model.named_parameters() if parameter.ndim == 2 and "embed" not in name]
    others = [parameter for name, parameter in model.named_parameters() if parameter.ndim != 2 or "embed" in name]
    optimizers = [Muon(matrices, MATRIX_RATE, decay=0.1), torch.optim.AdamW(others, TABLE_RATE, betas=(0.9, 0.95), weight_decay=0.01)]

    def loss_of(step: int) -> tuple[torch.Tensor, int]:
        ids, learnt = rows.batch(step)
        return loss_on(model, ids, learnt), BATCH * LENGTH

    return Run(out, model, optimizers, loss_of, Probe(tokenizer, model))


def save(run: Run, destination: str) -> None:
    run.model.save(destination)
    shutil.copyfile(f"{sys.argv[1]}/tokenizer.json", f"{destination}/tokenizer.json")


if __name__ == "__main__":
    command_line(sys.argv[1:], start, save)
