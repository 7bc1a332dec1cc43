"""T5 encoder-decoder in plain torch: `T5.load(FOLDER)` reads a transformers checkpoint (config.json + model.safetensors).

The forward pass of transformers' T5ForConditionalGeneration with gated or plain feed-forward layers, in float32 and without dropout: parameters have
the names transformers gives them, so its files load, and what is saved here loads there. It takes embeddings, not ids, so that a soft prompt
can be put in front of either side. Needs torch only. Knows nothing of tokenizers, of training or of files other than these two.
"""
import json
import math
import struct

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, softmax

MASKED = torch.finfo(torch.float32).min
# self and cross attention's keys and values of one layer, [batch, heads, length, d_kv]
LayerCache = tuple[Tensor, Tensor, Tensor, Tensor]


def read_safetensors(path: str) -> dict[str, Tensor]:
    """float32 tensors only. Format: 8-byte little-endian header length, JSON header, raw data."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, not F32")
        start, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(data, dtype=torch.float32, count=(end - start) // 4, offset=start).view(entry["shape"]).clone()
    return tensors


def write_safetensors(path: str, tensors: dict[str, Tensor]) -> None:
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + 4 * tensor.numel()]}
        at += 4 * tensor.numel()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.detach().float().contiguous().numpy().tobytes())


def save_checkpoint(folder: str, config: dict, tensors: dict[str, Tensor]) -> None:
    """As transformers lays one out."""
    with open(f"{folder}/config.json", "w") as file:
        json.dump(config, file, indent=2)
    write_safetensors(f"{folder}/model.safetensors", tensors)


def gelu_new(x: Tensor) -> Tensor:
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


ACTIVATIONS = {"gelu_new": gelu_new, "gelu": gelu, "relu": relu}


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(width)), epsilon

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon))


class Attention(nn.Module):
    """Without scaling (T5 folds it into its initialisation). Keys and values are [batch, heads, length, d_kv]."""

    def __init__(self, config: dict, buckets: bool):
        super().__init__()
        self.heads, self.width = config["num_heads"], config["d_kv"]
        inner = self.heads * self.width
        self.q, self.k, self.v = (nn.Linear(config["d_model"], inner, bias=False) for _ in range(3))
        self.o = nn.Linear(inner, config["d_model"], bias=False)
        if buckets:
            self.relative_attention_bias = nn.Embedding(config["relative_attention_num_buckets"], self.heads)

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], -1, self.heads, self.width).transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.split(self.k(x)), self.split(self.v(x))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """bias: added to the scores, [batch or 1, heads or 1, queries or 1, keys]."""
        weights = softmax(torch.matmul(self.split(self.q(x)), keys.transpose(3, 2)) + bias, dim=-1)
        heads = torch.matmul(weights, values).transpose(1, 2)
        return self.o(heads.reshape(x.shape[0], -1, self.heads * self.width))


class FeedForward(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.activation, self.gated = ACTIVATIONS[config["dense_act_fn"]], config["is_gated_act"]
        for name in ["wi_0", "wi_1"] if self.gated else ["wi"]:
            setattr(self, name, nn.Linear(config["d_model"], config["d_ff"], bias=False))
        self.wo = nn.Linear(config["d_ff"], config["d_model"], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.wo(self.activation(self.wi_0(x)) * self.wi_1(x) if self.gated else self.activation(self.wi(x)))


class Layer(nn.Module):
    """A norm and what follows it, under the attribute name transformers gives it."""

    def __init__(self, config: dict, name: str, inner: nn.Module):
        super().__init__()
        setattr(self, name, inner)
        self.layer_norm = RMSNorm(config["d_model"], config["layer_norm_epsilon"])


class Block(nn.Module):
    def __init__(self, config: dict, decoder: bool, first: bool):
        super().__init__()
        layers = [Layer(config, "SelfAttention", Attention(config, first))]
        if decoder:
            layers.append(Layer(config, "EncDecAttention", Attention(config, False)))
        layers.append(Layer(config, "DenseReluDense", FeedForward(config)))
        self.layer = nn.ModuleList(layers)


class Stack(nn.Module):
    def __init__(self, config: dict, decoder: bool):
        super().__init__()
        self.decoder = decoder
        self.buckets, self.max_distance = config["relative_attention_num_buckets"], config["relative_attention_max_distance"]
        count = config["num_decoder_layers" if decoder else "num_layers"]
        self.block = nn.ModuleList(Block(config, decoder, index == 0) for index in range(count))
        self.final_layer_norm = RMSNorm(config["d_model"], config["layer_norm_epsilon"])

    def position_bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Positions of queries and keys -> [1, heads, queries, keys], transformers' _relative_position_bucket."""
        distance, half = keys[None, :] - queries[:, None], self.buckets
        if self.decoder:  # only the past has a bias
            bucket, distance = torch.zeros_like(distance), -torch.min(distance, torch.zeros_like(distance))
        else:
            half //= 2
            bucket, distance = (distance > 0).long() * half, torch.abs(distance)
        exact = half // 2
        far = exact + (torch.log(distance.float() / exact) / math.log(self.max_distance / exact) * (half - exact)).long()
        bucket = bucket + torch.where(distance < exact, distance, torch.min(far, torch.full_like(far, half - 1)))
        return self.block[0].layer[0].SelfAttention.relative_attention_bias(bucket).permute(2, 0, 1)[None]

    def encode(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: [batch, length, d_model]; mask: [batch, length], 0 over padding -> the last hidden states, like x."""
        positions = torch.arange(x.shape[1])
        bias = self.position_bias(positions, positions) + (1.0 - mask[:, None, None, :].float()) * MASKED
        for block in self.block:
            attention, feed_forward = block.layer
            normed = attention.layer_norm(x)
            x = x + attention.SelfAttention(normed, *attention.SelfAttention.keys_values(normed), bias)
            x = x + feed_forward.DenseReluDense(feed_forward.layer_norm(x))
        return self.final_layer_norm(x)

    def decode(self, x: Tensor, encoded: Tensor | None, encoder_mask: Tensor,
               past: list[LayerCache] | None = None) -> tuple[Tensor, list[LayerCache]]:
        """x: the new positions, [batch, length, d_model]. encoded: not needed with a past -> hidden states, the cache with them."""
        before = past[0][0].shape[2] if past else 0
        keys_at = torch.arange(before + x.shape[1])
        queries_at = torch.arange(x.shape[1]) + before
        future = (keys_at[None, :] > queries_at[:, None]).float() * MASKED
        bias = self.position_bias(queries_at, keys_at) + future[None, None]
        cross_bias = (1.0 - encoder_mask[:, None, None, :].float()) * MASKED
        present = []
        for index, block in enumerate(self.block):
            attention, cross, feed_forward = block.layer
            normed = attention.layer_norm(x)
            keys, values = attention.SelfAttention.keys_values(normed)
            if past:
                keys, values = torch.cat([past[index][0], keys], 2), torch.cat([past[index][1], values], 2)
            x = x + attention.SelfAttention(normed, keys, values, bias)
            cross_keys, cross_values = past[index][2:] if past else cross.EncDecAttention.keys_values(encoded)
            x = x + cross.EncDecAttention(cross.layer_norm(x), cross_keys, cross_values, cross_bias)
            x = x + feed_forward.DenseReluDense(feed_forward.layer_norm(x))
            present.append((keys, values, cross_keys, cross_values))
        return self.final_layer_norm(x), present


class T5(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config["vocab_size"], config["d_model"])
        self.encoder, self.decoder = Stack(config, False), Stack(config, True)
        self.tied = config["tie_word_embeddings"]
        if not self.tied:
            self.lm_head = nn.Linear(config["d_model"], config["vocab_size"], bias=False)

    @staticmethod
    def load(folder: str) -> "T5":
        with open(f"{folder}/config.json") as file:
            model = T5(json.load(file))
        model.load_state_dict(read_safetensors(f"{folder}/model.safetensors"))
        return model.eval()

    def save(self, folder: str) -> None:
        save_checkpoint(folder, self.config, self.state_dict())

    @torch.no_grad()
    def initialise(self) -> "T5":
        """Random weights as transformers' T5 starts training from (initializer_factor 1): attention is scaled here, not in the forward pass."""
        width, inner, hidden = self.config["d_model"], self.config["num_heads"] * self.config["d_kv"], self.config["d_ff"]
        spread = {"q": (width * self.config["d_kv"]) ** -0.5, "o": inner ** -0.5, "wo": hidden ** -0.5, "shared": 1.0}
        for name, tensor in self.named_parameters():
            if tensor.ndim == 2:
                tensor.normal_(0.0, spread.get(name.split(".")[-2], width ** -0.5))
        return self

    def logits(self, hidden: Tensor) -> Tensor:
        if not self.tied:
            return self.lm_head(hidden)
        return torch.matmul(hidden * self.config["d_model"] ** -0.5, self.shared.weight.t())

    def shift_right(self, labels: Tensor) -> Tensor:
        """The decoder's ids for these labels: the start token in front, the last one off, -100 as padding."""
        start = torch.full_like(labels[:, :1], self.config["decoder_start_token_id"])
        return torch.cat([start, labels[:, :-1].masked_fill(labels[:, :-1] == -100, self.config["pad_token_id"])], 1)

    def forward(self, embeds: Tensor, mask: Tensor, decoder_embeds: Tensor) -> Tensor:
        """-> logits [batch, decoder length, vocab]"""
        return self.logits(self.decoder.decode(decoder_embeds, self.encoder.encode(embeds, mask), mask)[0])
