"""The virtual tokens: a PEFT prompt around a frozen model, how it starts, and what it stands in front of.

PEFT holds the trained tensors and saves them; the embeddings are put together here, because PEFT itself has no prompt in front of a
decoder and, up to 0.21, can't wrap an encoder-decoder of transformers 5.
"""

import torch
from peft import MultitaskPromptTuningConfig, PeftModel, PromptTuningConfig
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

# Spread of a multitask prompt's fresh factors, as in PEFT.
FACTOR_STD = 0.02


def parts_of(job):
    """Where virtual tokens stand, in the order of their rows."""
    return job["tuning_config"]["output_model_types"]


def new_prompt(base_model, job, base_model_name):
    """A PeftModel with fresh tensors, all but the prompt frozen."""
    config = job["tuning_config"]
    seq2seq = job["kind"] == "seq2seq"
    arguments = {
        "task_type": "SEQ_2_SEQ_LM" if seq2seq else "CAUSAL_LM",
        "base_model_name_or_path": base_model_name,
        "num_virtual_tokens": config["num_virtual_tokens"],
        "num_transformer_submodules": len(parts_of(job)),
        "prompt_tuning_init": "RANDOM",
    }
    if job["tuning_type"] == "MULTITASK_PROMPT_TUNING":
        peft_config = MultitaskPromptTuningConfig(num_tasks=config["num_tasks"], num_ranks=config["num_ranks"], **arguments)
    else:
        peft_config = PromptTuningConfig(**arguments)
    return PeftModel(base_model, peft_config)


def embedding_std(base_model):
    return base_model.get_input_embeddings().weight.detach().float().std(correction=0).item()


@torch.no_grad()
def initialize(model, job, tokenizer, outputs, source_file):
    """Sets the prompt's tensors before training. `outputs`: the training examples'; `source_file`: a source prompt's safetensors."""
    config = job["tuning_config"]
    method = config["prompt_tuning_init_method"]
    generator = torch.Generator().manual_seed(job["seed"])
    table = model.base_model.get_input_embeddings().weight.detach().float().cpu()
    encoder = model.prompt_encoder["default"]
    rows = encoder.embedding.weight
    n = config["num_virtual_tokens"]
    source = load_file(source_file) if source_file else None

    def drawn(count):
        return table[torch.randint(0, table.shape[0], (count,), generator=generator)]

    def part():
        if method == "TEXT":
            ids = tokenizer.encode(config["prompt_tuning_init_text"], add_special_tokens=True)
            if not ids:
                raise ValueError("prompt_tuning_init_text has no tokens")
            return table[[ids[i % len(ids)] for i in range(n)]]
        if method == "CLASS_LABELS":
            labels = list(dict.fromkeys(outputs))[:n]
            means = [_mean_embedding(table, tokenizer.encode(label, add_special_tokens=False)) for label in labels]
            return torch.stack(means + list(drawn(n - len(labels))))
        return drawn(n)

    if source is not None:
        start = source["prompt_embeddings"].float()
        if method == "SOURCE_PROMPT" and "prefix_task_cols" in source:
            start = start * (source["prefix_task_cols"] @ source["prefix_task_rows"])[config["prompt_tuning_init_task"]]
    elif method == "RANDOM":
        scale = 1.0 if config["random_scale"] == "unit" else table.std(correction=0).item()
        start = scale * torch.randn(rows.shape, generator=generator)
    else:
        start = torch.cat([part() for _ in parts_of(job)])
    if start.shape != rows.shape:
        raise ValueError(f"the source prompt is {tuple(start.shape)}, this job's {tuple(rows.shape)}")
    rows.copy_(start)
    if job["tuning_type"] == "MULTITASK_PROMPT_TUNING":
        _initialize_factors(encoder, config, source, generator)


def _initialize_factors(encoder, config, source, generator):
    """PEFT draws both factors from N(0, 0.02^2), whose product all but erases the rows. Here they start near one, unless "unit"."""
    cols, rows = encoder.prefix_task_cols, encoder.prefix_task_rows
    method = config["prompt_tuning_init_method"]
    if method == "AVERAGE_SOURCE":
        cols.copy_(source["prefix_task_cols"].mean(0, keepdim=True))
        rows.copy_(source["prefix_task_rows"].mean(0, keepdim=True))
        return
    if method == "EXACT_SOURCE_TASK":
        task = config["prompt_tuning_init_task"]
        cols.copy_(source["prefix_task_cols"][task : task + 1])
        rows.copy_(source["prefix_task_rows"][task : task + 1])
        return
    center = 0.0 if config["random_scale"] == "unit" else 1.0
    if center and source is not None and "prefix_task_cols" in source:
        # The scale the source's rows were trained to be multiplied with.
        center = (source["prefix_task_cols"] @ source["prefix_task_rows"]).pow(2).mean().sqrt().sqrt().item()
    cols.copy_(FACTOR_STD * torch.randn(cols.shape, generator=generator))
    rows.copy_(FACTOR_STD * torch.randn(rows.shape, generator=generator))
    cols[:, :, 0] += center
    rows[:, 0, :] += center


def _mean_embedding(table, ids):
    return table[ids].mean(0) if ids else torch.zeros(table.shape[1])


class Tuned(torch.nn.Module):
    """The frozen model with the prompt in front: the loss of a batch, and greedy answers."""

    def __init__(self, model, job):
        super().__init__()
        self.model = model
        self.parts = parts_of(job)
        self.n = job["tuning_config"]["num_virtual_tokens"]
        self.multitask = job["tuning_type"] == "MULTITASK_PROMPT_TUNING"

    def prompt_rows(self, tasks, dtype, prompted):
        """{part: [batch, n, width]}; nothing for the untuned model."""
        if not prompted:
            return {}
        task_ids = torch.tensor(tasks, device=self.device) if self.multitask else None
        rows = self.model.get_prompt(batch_size=len(tasks), task_ids=task_ids).to(dtype)
        return {part: rows[:, i * self.n : (i + 1) * self.n] for i, part in enumerate(self.parts)}

    @property
    def device(self):
        return self.model.base_model.get_input_embeddings().weight.device

    def embed(self, prompt, ids):
        """Right-padded embeddings of [prompt; ids] and their mask: P text PAD."""
        table = self.model.base_model.get_input_embeddings()
        rows = [table(torch.tensor(row, device=self.device)) for row in ids]
        if prompt is not None:
            rows = [torch.cat([virtual, row]) for virtual, row in zip(prompt, rows)]
        mask = pad_sequence([torch.ones(len(row), dtype=torch.long, device=self.device) for row in rows], batch_first=True)
        return pad_sequence(rows, batch_first=True), mask

    def encode(self, sequences, prompts):
        """The encoder's states and mask as arguments of the model; none for a causal one."""
        if sequences[0].encoder is None:
            return {}
        embeddings, mask = self.embed(prompts.get("ENCODER"), [sequence.encoder for sequence in sequences])
        states = self.model.base_model.get_encoder()(inputs_embeds=embeddings, attention_mask=mask)
        return {"encoder_outputs": states, "attention_mask": mask}

    def decode(self, encoded, embeddings, mask, **more):
        if encoded:
            return self.model.base_model(**encoded, decoder_inputs_embeds=embeddings, decoder_attention_mask=mask, **more)
        return self.model.base_model(inputs_embeds=embeddings, attention_mask=mask, **more)

    def forward(self, sequences, prompted=True):
        """The summed cross-entropy of each sequence's labels, [batch], in fp32."""
        dtype = self.model.base_model.get_input_embeddings().weight.dtype
        prompts = self.prompt_rows([sequence.task for sequence in sequences], dtype, prompted)
        fed = [sequence.source + sequence.target[:-1] for sequence in sequences]
        embeddings, mask = self.embed(prompts.get("DECODER"), fed)
        logits = self.decode(self.encode(sequences, prompts), embeddings, mask, use_cache=False).logits
        offset = self.n if "DECODER" in prompts else 0
        losses = []
        for row, sequence in zip(logits, sequences):
            first = offset + len(sequence.source) - 1
            target = torch.tensor(sequence.target, device=self.device)
            losses.append(cross_entropy(row[first : first + len(target)].float(), target, reduction="sum"))
        return torch.stack(losses)

    @torch.no_grad()
    def answer(self, sequences, max_new_tokens, eos_token_id, prompted=True):
        """Greedy tokens after each source, EOS included where it was said. The sequences must be equally long, so nothing is padded."""
        table = self.model.base_model.get_input_embeddings()
        prompts = self.prompt_rows([sequence.task for sequence in sequences], table.weight.dtype, prompted)
        encoded = self.encode(sequences, prompts)
        embeddings, mask = self.embed(prompts.get("DECODER"), [sequence.source for sequence in sequences])
        said = [[] for _ in sequences]
        cache = None
        for _ in range(max_new_tokens):
            output = self.decode(encoded, embeddings, mask, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            ids = output.logits[:, -1].argmax(-1)
            for row, token in zip(said, ids.tolist()):
                if not row or row[-1] != eos_token_id:
                    row.append(token)
            if all(row[-1] == eos_token_id for row in said):
                break
            embeddings = table(ids)[:, None]
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        return said
