"""From an example to tokens, as Promptlathe builds them in the browser. Plain Python: no torch, no transformers.

A causal model reads source and target one after the other; an encoder-decoder reads the source in its encoder, and its decoder
begins with the start token. Only the target is learned, and it ends with EOS.

A tokenizer here is anything with `encode(text, add_special_tokens=...)` and the ids `eos_token_id`, `bos_token_id`,
`pad_token_id`; tokenizers of transformers are.
"""

import re
from dataclasses import dataclass
from typing import List, Optional

PLACEHOLDER = re.compile(r"\{\{([_a-zA-Z0-9]+)\}\}")
# A token may cover more; any value is right, this one makes the first guess where to cut a good one.
CHARACTERS_PER_TOKEN = 8


@dataclass(frozen=True)
class Limits:
    kind: str  # "causal-lm" or "seq2seq"
    max_source_length: int
    max_target_length: int
    # Virtual tokens in front of each part of the model; 0 where there are none.
    encoder_tokens: int
    decoder_tokens: int
    # Positions of a part, virtual tokens included; None: as many as you like.
    max_positions: Optional[int]
    decoder_start_token_id: Optional[int] = None


@dataclass(frozen=True)
class Sequence:
    encoder: Optional[List[int]]  # what the encoder reads; None on a causal model
    source: List[int]  # what stands before the target in the part that says it
    target: List[int]  # what is learned; the last token is never fed
    task: int
    truncated_source: bool
    truncated_target: bool


def render_verbalizer(verbalizer, value):
    """Puts `value` in place of every {{input}}, in one pass: nothing in it is special, what is inserted is not looked at again."""
    return PLACEHOLDER.sub(lambda match: value if match.group(1) == "input" else match.group(0), verbalizer)


def fit_source(verbalizer, value, limit, tokenizer):
    """(ids, truncated): the source with its input cut from the end until all of it has at most `limit` tokens.

    None when the template alone has more.
    """

    def encode(length):
        return list(tokenizer.encode(render_verbalizer(verbalizer, value[:length]), add_special_tokens=True))

    # Gallop up, so that the cost goes with the limit and not with the length of the input.
    fits, too_long = 0, min(len(value), limit * CHARACTERS_PER_TOKEN)
    while True:
        ids = encode(too_long)
        if len(ids) > limit:
            break
        if too_long == len(value):
            return ids, False
        fits, too_long = too_long, min(len(value), too_long * 2)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if len(encode(middle)) <= limit:
            fits = middle
        else:
            too_long = middle
    ids = encode(fits)
    return (ids, True) if len(ids) <= limit else None


def build_sequence(example, verbalizer, limits, tokenizer, task=0, preset=None):
    """One example ({"input": ..., "output": ...}) as a Sequence. Raises ValueError when there is no room for it."""
    if limits.kind == "causal-lm":
        build = _caikit_causal if preset == "caikit" else _causal
    else:
        build = _caikit_seq2seq if preset == "caikit" else _seq2seq
    return build(example, verbalizer, limits, tokenizer, task)


def _causal(example, verbalizer, limits, tokenizer, task):
    room = _room(limits, limits.decoder_tokens)
    source = _fit(verbalizer, example["input"], min(limits.max_source_length, room), tokenizer)
    # Without special tokens, so that no BOS lands in the middle.
    wanted = list(tokenizer.encode(example["output"], add_special_tokens=False))
    target_room = max(room - max(1, len(source[0])), _half(room))
    kept = wanted[: int(min(limits.max_target_length, target_room))]
    source_room = room - len(kept)
    if len(source[0]) > source_room:
        source = _fit(verbalizer, example["input"], source_room, tokenizer)
    ids, truncated = source
    return Sequence(
        encoder=None,
        source=_nonempty(ids, tokenizer),
        target=kept + [tokenizer.eos_token_id],
        task=task,
        truncated_source=truncated,
        truncated_target=len(kept) < len(wanted),
    )


def _seq2seq(example, verbalizer, limits, tokenizer, task):
    limit = min(limits.max_source_length, _room(limits, limits.encoder_tokens))
    ids, truncated = _fit(verbalizer, example["input"], limit, tokenizer)
    # Spaces in front part an answer from the source before it, and a decoder has none.
    wanted = list(tokenizer.encode(example["output"].lstrip(" "), add_special_tokens=True))
    if wanted and wanted[-1] == tokenizer.eos_token_id:
        wanted.pop()
    # The start token takes a position, and EOS is predicted but not fed.
    kept = wanted[: int(min(limits.max_target_length, _room(limits, limits.decoder_tokens) - 1))]
    return Sequence(
        encoder=_nonempty(ids, tokenizer),
        source=[_start_token(limits, tokenizer)],
        target=kept + [tokenizer.eos_token_id],
        task=task,
        truncated_source=truncated,
        truncated_target=len(kept) < len(wanted),
    )


def _caikit_causal(example, verbalizer, limits, tokenizer, task):
    """caikit-nlp's way: both parts with special tokens, cut on the right, EOS appended, all cut again, which can take EOS off."""
    room = _room(limits, limits.decoder_tokens)
    text = render_verbalizer(verbalizer, example["input"])
    all_source = _nonempty(list(tokenizer.encode(text, add_special_tokens=True)), tokenizer)
    all_target = list(tokenizer.encode(example["output"], add_special_tokens=True))
    source = all_source[: int(min(limits.max_source_length, room - 1))]
    total = int(min(limits.max_source_length + limits.max_target_length + 1, room + 1))
    target = (all_target[: limits.max_target_length + 1] + [tokenizer.eos_token_id])[: max(0, total - len(source))]
    return Sequence(
        encoder=None,
        source=source,
        target=target,
        task=task,
        truncated_source=len(source) < len(all_source),
        truncated_target=len(target) < len(all_target) + 1,
    )


def _caikit_seq2seq(example, verbalizer, limits, tokenizer, task):
    """caikit-nlp's way: both cut on the right; the tokenizer's own EOS survives, none is added."""

    def cut(text, limit):
        ids = _nonempty(list(tokenizer.encode(text, add_special_tokens=True)), tokenizer)
        if len(ids) <= limit:
            return ids, False
        limit = int(limit)
        ends = ids[-1] == tokenizer.eos_token_id
        return (ids[: limit - 1] + [tokenizer.eos_token_id] if ends else ids[:limit]), True

    source_limit = min(limits.max_source_length, _room(limits, limits.encoder_tokens))
    encoder, truncated_source = cut(render_verbalizer(verbalizer, example["input"]), source_limit)
    target_limit = min(limits.max_target_length, _room(limits, limits.decoder_tokens))
    target, truncated_target = cut(example["output"], target_limit)
    return Sequence(encoder, [_start_token(limits, tokenizer)], target, task, truncated_source, truncated_target)


def _fit(verbalizer, value, limit, tokenizer):
    fitted = fit_source(verbalizer, value, limit, tokenizer) if limit >= 1 else None
    if fitted is None:
        raise ValueError(f"the template {verbalizer[:60]!r} alone has more than the {limit} tokens a source may have here")
    return fitted


def _room(limits, virtual_tokens):
    if limits.max_positions is None:
        return float("inf")
    room = limits.max_positions - virtual_tokens
    if room < 2:
        raise ValueError(f"{virtual_tokens} virtual tokens leave no room in the model's {limits.max_positions} positions")
    return room


def _half(room):
    return room if room == float("inf") else room // 2


def _nonempty(ids, tokenizer):
    """A model has to read something before it can say anything."""
    if ids:
        return ids
    return [tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id]


def _start_token(limits, tokenizer):
    start = tokenizer.pad_token_id if limits.decoder_start_token_id is None else limits.decoder_start_token_id
    if start is None:
        raise ValueError("the model names no decoder_start_token_id")
    return start


def task_names(examples, num_tasks):
    """The tasks' names by index. Several tasks: every example names its own."""
    names = sorted({example["task"] for example in examples if example.get("task") is not None})
    if num_tasks == 1:
        return names if len(names) == 1 else ["task"]
    if any(example.get("task") is None for example in examples):
        raise ValueError(f"num_tasks is {num_tasks}, so every example needs a task")
    if len(names) != num_tasks:
        raise ValueError(f"num_tasks is {num_tasks}, but the examples are of {len(names)} tasks")
    return names
