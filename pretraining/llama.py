"""Llama-style causal language model in plain torch: `Llama.load(FOLDER)` reads a transformers checkpoint (config.json + model.safetensors).

The forward pass of transformers' LlamaForCausalLM (grouped heads, rotary positions without scaling, SwiGLU, tied head): parameters have the names
transformers gives them, so its files load, and what is saved here loads there (`check_llama.py` compares the two). It takes embeddings, not
ids, so that a soft prompt can be put in front. Needs torch only (1.13 or later). Knows nothing of tokenizers, training or other files.
"""
import json

import torch
from torch import Tensor, nn
from torch.nn import functional

from t5 import RMSNorm, read_safetensors, save_checkpoint

MASKED = -1e30
Cache = tuple[Tensor, Tensor]  # keys and values of a layer, [batch, key/value heads, length, width of a head]


def rotations(positions: Tensor, width: int, theta: float) -> tuple[Tensor, Tensor]:
    """[..., length] -> cosines and sines, [..., 1, length, width]"""
    frequencies = theta ** (-torch.arange(0, width, 2, device=positions.device).float() / width)
    angles = positions[..., None].float() * frequencies
    angles = torch.cat([angles, angles], -1).unsqueeze(-3)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cosines + torch.cat([-x[..., half:], x[..., :half]], -1) * sines


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """bias: added to the scores; None: causal, without padding. Scores are of the values' type: on a CPU much faster in bfloat16 than torch's own."""
    scores = torch.matmul(queries * queries.shape[-1] ** -0.5, keys.transpose(3, 2))
    if bias is None:
        bias = torch.full(scores.shape[-2:], MASKED, dtype=scores.dtype).triu(1)
    return torch.matmul((scores + bias).softmax(-1, dtype=values.dtype), values)


class Attention(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.heads, self.shared_heads = config["num_attention_heads"], config["num_key_value_heads"]
        width = config["hidden_size"]
        self.width = width // self.heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj, self.v_proj = (nn.Linear(width, self.shared_heads * self.width, bias=False) for _ in range(2))
        self.o_proj = nn.Linear(width, width, bias=False)

    def split(self, x: Tensor, heads: int) -> Tensor:
        return x.view(x.shape[0], x.shape[1], heads, self.width).transpose(1, 2)

    def forward(self, x: Tensor, cosines: Tensor, sines: Tensor, bias: Tensor | None, past: Cache | None) -> tuple[Tensor, Cache]:
        queries = rotate(self.split(self.q_proj(x), self.heads), cosines, sines)
        keys = rotate(self.split(self.k_proj(x), self.shared_heads), cosines, sines)
        values = self.split(self.v_proj(x), self.shared_heads)
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        groups = self.heads // self.shared_heads
        spread = lambda tensor: tensor[:, :, None].expand(-1, -1, groups, -1, -1).flatten(1, 2)
        heads = attend(queries.to(values.dtype), spread(keys.to(values.dtype)), spread(values), bias)
        return self.o_proj(heads.transpose(1, 2).flatten(2)), (keys, values)


class FeedForward(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        norm = lambda: RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.self_attn, self.mlp = Attention(config), FeedForward(config)
        self.input_layernorm, self.post_attention_layernorm = norm(), norm()

    def forward(self, x: Tensor, *context) -> tuple[Tensor, Cache]:
        attended, present = self.self_attn(self.input_layernorm(x), *context)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), present


class Stack(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.embed_tokens = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.layers = nn.ModuleList(Block(config) for _ in range(config["num_hidden_layers"]))
        self.norm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])


class Llama(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        if not config["tie_word_embeddings"]:
            raise ValueError("only a tied head is known here")
        self.config, self.model = config, Stack(config)

    @staticmethod
    def load(folder: str) -> "Llama":
        with open(f"{folder}/config.json") as file:
            config = json.load(file)
        model = Llama({**config, "rope_theta": config.get("rope_theta") or config["rope_parameters"]["rope_theta"]})
        tensors = read_safetensors(f"{folder}/model.safetensors")
        tensors.pop("lm_head.weight", None)  # the table again
        model.load_state_dict(tensors)
        return model.eval()

    def save(self, folder: str) -> None:
        save_checkpoint(folder, self.config, self.state_dict())

    @torch.no_grad()
    def initialise(self) -> "Llama":
        """Normal with std 0.02, what writes to the residual stream less, by depth."""
        for name, tensor in self.named_parameters():
            if tensor.ndim == 2:
                tensor.normal_(0.0, 0.02 * ((2 * len(self.model.layers)) ** -0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1))
        return self

    def hidden(self, embeds: Tensor, positions: Tensor, bias: Tensor | None = None, past: list[Cache] | None = None) -> tuple[Tensor, list[Cache]]:
        """embeds: [batch, length, width]; positions: [length] or [batch, length]; bias: added to the scores -> last hidden states, the cache with them."""
        width = self.config["hidden_size"] // self.config["num_attention_heads"]
        cosines, sines = rotations(positions, width, self.config["rope_theta"])
        x, present = embeds, []
        for index, layer in enumerate(self.model.layers):
            x, cache = layer(x, cosines, sines, bias, past[index] if past else None)
            present.append(cache)
        return self.model.norm(x), present

    def logits(self, hidden: Tensor) -> Tensor:
        return torch.matmul(hidden, self.model.embed_tokens.weight.t())
