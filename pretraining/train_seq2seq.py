"""Trains the embedded encoder-decoder from scratch: `python train_seq2seq.py OUT UNTIL_STEP`, then `python train_seq2seq.py OUT --decay STEPS DESTINATION`.

Goes on from OUT/state.pt if there is one, else from the checkpoint in OUT/initial if there is one (whose tokenizer.json must be in OUT). T5-style, 4 + 4 layers, width 192, 6 heads, gated GELU 512, byte-level BPE of 4,096, tied embeddings: 4.9 M
parameters. Most rows are tasks of the mixture (instruction and input -> output, or few-shot lists), the others are text with spans left
out, which the decoder fills in. Needs torch and tokenizers. Knows the recipe; the model is t5.py's, the rows' text is mixture.py's.
"""
import os
import shutil
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy

from mixture import Mixture
from probing import examples, summary
from t5 import T5
from training import Muon, Run, command_line

VOCAB, BATCH, TEXT_SHARE = 4096, 64, 0.25
MATRIX_RATE, TABLE_RATE = 5e-3, 1e-2  # relative to each tensor's root mean square
SENTINELS, SPAN, EVERY = 16, 4, 12  # spans of 1 to 4 tokens are left out, one for 12 tokens
LONGEST_TEXT, LONGEST_SOURCE, LONGEST_TARGET, LENGTHS = 72, 120, 40, 4
PAD, END, FIRST_SENTINEL, IGNORED = 0, 1, 2, -100
SPECIAL = ["<pad>", "</s>", *(f"<extra_id_{index}>" for index in range(SENTINELS))]
CONFIG = {
    "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": VOCAB, "d_model": 192, "d_kv": 32, "d_ff": 512,
    "num_layers": 4, "num_decoder_layers": 4, "num_heads": 6, "relative_attention_num_buckets": 32, "relative_attention_max_distance": 64,
    "dropout_rate": 0.0, "feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "is_gated_act": True, "layer_norm_epsilon": 1e-06,
    "is_encoder_decoder": True, "tie_word_embeddings": True, "pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": PAD, "use_cache": True,
}
Row = tuple[list[int], list[int]]


def tokenizer_for(mixture: Mixture, path: str) -> Tokenizer:
    if not os.path.exists(path):
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        mixture.reseed("tokenizer")
        sample = [mixture.text() for _ in range(60_000)] + ["{} {}".format(*mixture.pair()) for _ in range(60_000)]
        tokenizer.train_from_iterator(sample, trainers.BpeTrainer(
            vocab_size=VOCAB, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
        tokenizer.save(path)
    return Tokenizer.from_file(path)


class Rows:
    def __init__(self, mixture: Mixture, tokenizer: Tokenizer):
        self.mixture, self.rng, self.tokenizer = mixture, mixture.rng, tokenizer

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def corrupted(self, ids: list[int]) -> Row:
        """Spans replaced by sentinels -> the target gives each sentinel and what it stands for."""
        count = min(max(1, len(ids) // EVERY), SENTINELS)
        source, target, at, sentinel = [], [], 0, FIRST_SENTINEL
        for start in sorted(self.rng.sample(range(len(ids)), count)):
            if start < at:
                continue  # inside the span before
            end = min(len(ids), start + self.rng.randint(1, SPAN))
            source += [*ids[at:start], sentinel]
            target += [sentinel, *ids[start:end]]
            at, sentinel = end, sentinel + 1
        return [*source, *ids[at:], END], [*target, END]

    def of_pair(self, pair: tuple[str, str]) -> Row:
        """A source that is too long keeps its end, where the question is."""
        source, target = pair
        return [*self.ids(source)[-LONGEST_SOURCE:], END], [*self.ids(target)[:LONGEST_TARGET], END]

    def draw(self) -> Row:
        if self.rng.random() < TEXT_SHARE:
            ids = self.ids(self.mixture.text())[:LONGEST_TEXT]
            if len(ids) >= 6:
                return self.corrupted(ids)
        return self.of_pair(self.mixture.pair())

    def parts(self, step: int) -> list[list[Row]]:
        """A batch in LENGTHS parts, each of rows of about equal length: less padding."""
        self.mixture.reseed(f"seq2seq {step}")
        rows = sorted((self.draw() for _ in range(BATCH)), key=lambda row: len(row[0]))
        return [rows[at:at + BATCH // LENGTHS] for at in range(0, BATCH, BATCH // LENGTHS)]


def padded(rows: list[list[int]], filler: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])


def hidden_of(model: T5, rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoder's last hidden states and the labels."""
    sources, targets = [source for source, _ in rows], [target for _, target in rows]
    mask, labels = padded([[1] * len(source) for source in sources], 0), padded(targets, IGNORED)
    encoded = model.encoder.encode(model.shared(padded(sources, PAD)), mask)
    return model.decoder.decode(model.shared(model.shift_right(labels)), encoded, mask)[0], labels


def loss_on(model: T5, parts: list[list[Row]]) -> torch.Tensor:
    """Logits are made for real labels only."""
    hidden, labels = [], []
    with torch.autocast("cpu", torch.bfloat16):
        for rows in parts:
            found, wanted = hidden_of(model, rows)
            hidden.append(found[wanted != IGNORED])
            labels.append(wanted[wanted != IGNORED])
        logits = model.logits(torch.cat(hidden))
    return cross_entropy(logits.float(), torch.cat(labels))


class Probe:
    def __init__(self, rows: Rows, model: T5, each: int = 2):
        self.model, self.examples = model, examples(each)
        # A list ends in an open line; an instruction stands above the input as it is.
        self.rows = [rows.of_pair((f"{one.context}{one.source}{' ->' if one.shape == 'few-shot' else ''}", one.target)) for one in self.examples]

    @torch.no_grad()
    def right(self) -> list[bool]:
        """Greedy decoding is right where every label is the likeliest after those before."""
        right: list[bool] = []
        for start in range(0, len(self.rows), 32):
            with torch.autocast("cpu", torch.bfloat16):
                hidden, labels = hidden_of(self.model, self.rows[start:start + 32])
                right += ((self.model.logits(hidden).argmax(-1) == labels) | (labels == IGNORED)).all(1).tolist()
        return right

    def __call__(self) -> dict:
        return summary(self.examples, self.right())


class RelativeAdamW(torch.optim.AdamW):
    """Steps relative to each tensor's scale: T5's differ a hundredfold, and with one step for all it did not train."""

    def step(self) -> None:
        asked = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            [parameter] = group["params"]
            group["lr"] *= max(1e-3, parameter.detach().pow(2).mean().sqrt().item())
        super().step()
        for group, rate in zip(self.param_groups, asked):
            group["lr"] = rate


def start(out: str) -> Run:
    mixture = Mixture()
    rows, model = Rows(mixture, tokenizer_for(mixture, f"{out}/tokenizer.json")), T5(CONFIG).initialise()
    if os.path.exists(f"{out}/initial"):
        model.load_state_dict(T5.load(f"{out}/initial").state_dict())
    is_matrix = lambda name, parameter: parameter.ndim == 2 and "shared" not in name and "bias" not in name
    named = list(model.named_parameters())
    matrices = [parameter for name, parameter in named if is_matrix(name, parameter)]
    others = [{"params": [parameter]} for name, parameter in named if not is_matrix(name, parameter)]
    optimizers = [Muon(matrices, MATRIX_RATE, relative=True), RelativeAdamW(others, TABLE_RATE, betas=(0.9, 0.98), weight_decay=0.0)]

    def loss_of(step: int) -> tuple[torch.Tensor, int]:
        parts = rows.parts(step)
        return loss_on(model, parts), sum(len(source) + len(target) for part in parts for source, target in part)

    return Run(out, model, optimizers, loss_of, Probe(rows, model))


def save(run: Run, destination: str) -> None:
    run.model.save(destination)
    shutil.copyfile(f"{sys.argv[1]}/tokenizer.json", f"{destination}/tokenizer.json")


if __name__ == "__main__":
    command_line(sys.argv[1:], start, save)
