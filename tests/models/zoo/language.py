"""Models of token sequences, in plain PyTorch: the shapes of code that people write themselves."""

import torch
import torch.nn.functional as F
from torch import nn

from .case import Case, model


class Attention(nn.Module):
    """Attention of one sequence to itself, `[batch, time, width]` to the same."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def split(self, x):
        batch, time, width = x.shape
        return x.view(batch, time, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, x, mask=None, causal=False):
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        x = F.scaled_dot_product_attention(
            query, key, value, mask, self.dropout if self.training else 0.0, is_causal=causal
        )
        return self.output(x.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """A layer of BERT: norms come after the sums."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask):
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.norm(x + self.dropout(self.outer(F.gelu(self.inner(x)))))


class Encoder(nn.Module):
    """A BERT-like classifier of token sequences with padding."""

    def __init__(self, vocabulary, context, width, heads, layers, classes, dropout=0.1):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.places = nn.Embedding(context, width)
        self.kinds = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, dropout) for _ in range(layers))
        self.pooler = nn.Linear(width, width)
        self.classifier = nn.Linear(width, classes)
        self.register_buffer("position_ids", torch.arange(context).expand((1, -1)), persistent=False)

    def forward(self, input_ids, attention_mask, token_type_ids):
        places = self.position_ids[:, : input_ids.shape[1]]
        x = self.words(input_ids) + self.kinds(token_type_ids) + self.places(places)
        x = self.dropout(self.norm(x))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.layers:
            x = layer(x, mask)
        x = torch.tanh(self.pooler(x[:, 0]))
        return self.classifier(self.dropout(x))


class DecoderLayer(nn.Module):
    """A layer of GPT-2: norms come before what they lead into."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.dropout(self.attention(self.attention_norm(x), causal=True))
        return x + self.dropout(self.outer(F.gelu(self.inner(self.norm(x)), approximate="tanh")))


class Decoder(nn.Module):
    """A GPT-like language model whose head is its embedding."""

    def __init__(self, vocabulary, context, width, heads, layers, dropout=0.1):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(DecoderLayer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.words.weight

    def forward(self, input_ids):
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.dropout(self.words(input_ids) + self.places(places))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class RMSNorm(nn.Module):
    """The norm of LLaMA, as its code has it: squares are averaged in float32."""

    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        y = x.to(torch.float32)
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * y.to(x.dtype)


def rotate_half(x):
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


class GroupedAttention(nn.Module):
    """Causal attention with rotary embedding, several heads of queries to one of keys and values."""

    def __init__(self, width, heads, groups):
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.q_proj = nn.Linear(width, heads * self.size, bias=False)
        self.k_proj = nn.Linear(width, groups * self.size, bias=False)
        self.v_proj = nn.Linear(width, groups * self.size, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def repeat(self, x):
        batch, groups, time, size = x.shape
        x = x[:, :, None].expand(batch, groups, self.heads // groups, time, size)
        return x.reshape(batch, self.heads, time, size)

    def forward(self, x, cos, sin):
        batch, time, width = x.shape
        query = self.q_proj(x).view(batch, time, self.heads, self.size).transpose(1, 2)
        key = self.k_proj(x).view(batch, time, self.groups, self.size).transpose(1, 2)
        value = self.v_proj(x).view(batch, time, self.groups, self.size).transpose(1, 2)
        query = query * cos + rotate_half(query) * sin
        key = key * cos + rotate_half(key) * sin
        x = F.scaled_dot_product_attention(query, self.repeat(key), self.repeat(value), is_causal=True)
        return self.o_proj(x.transpose(1, 2).reshape(batch, time, width))


class GatedLayer(nn.Module):
    """A layer of LLaMA: RMSNorm, grouped attention, SwiGLU."""

    def __init__(self, width, heads, groups, inner):
        super().__init__()
        self.input_layernorm = RMSNorm(width)
        self.self_attn = GroupedAttention(width, heads, groups)
        self.post_attention_layernorm = RMSNorm(width)
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        y = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))


class Llama(nn.Module):
    """A LLaMA-like language model. Rotary angles are a buffer that no state dict holds."""

    def __init__(self, vocabulary, width, heads, groups, layers, inner):
        super().__init__()
        size = width // heads
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(GatedLayer(width, heads, groups, inner) for _ in range(layers))
        self.norm = RMSNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        frequencies = 1.0 / (10000.0 ** (torch.arange(0, size, 2).float() / size))
        self.register_buffer("inv_freq", frequencies, persistent=False)

    def forward(self, input_ids):
        x = self.embed_tokens(input_ids)
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        angles = torch.outer(places.float(), self.inv_freq)
        angles = torch.cat((angles, angles), dim=-1)[None, None]
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.lm_head(self.norm(x))


class Recurrent(nn.Module):
    """A bidirectional LSTM that classifies by the last state of both directions."""

    def __init__(self, vocabulary, width, hidden, layers, classes, dropout=0.1):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, dropout=dropout, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * hidden, classes)

    def forward(self, input_ids):
        _, (last, _) = self.lstm(self.words(input_ids))
        x = torch.cat((last[-2], last[-1]), dim=1)
        return self.classifier(self.dropout(x))


def next_token(module, vocabulary, batch, time, context):
    """The case of a language model: both dims of its tokens are symbolic."""
    tokens = torch.randint(0, vocabulary, (batch, time + 1))
    inputs = {"input_ids": tokens[:, :-1].contiguous()}
    dynamic = {"input_ids": {0: "batch", 1: "time"}}
    return Case(module, inputs, tokens[:, 1:].contiguous(), dynamic, {"time": context})


@model
def bert(small):
    vocabulary, context, batch, time = (50, 16, 3, 12) if small else (30522, 512, 2, 128)
    sizes = {"width": 16, "heads": 2, "layers": 1} if small else {"width": 256, "heads": 4, "layers": 4}
    built = Encoder(vocabulary, context, classes=4, **sizes)
    tokens = torch.randint(1, vocabulary, (batch, time))
    lengths = torch.tensor([time - 3 * row for row in range(batch)])
    mask = (torch.arange(time)[None] < lengths[:, None]).to(torch.int64)
    kinds = (torch.arange(time)[None] >= lengths[:, None] // 2).to(torch.int64) * mask
    inputs = {"input_ids": tokens * mask, "attention_mask": mask, "token_type_ids": kinds}
    dynamic = {name: {0: "batch"} for name in inputs}
    return Case(built, inputs, torch.randint(0, 4, (batch,)), dynamic)


@model
def gpt(small):
    vocabulary, context = (50, 16) if small else (50257, 1024)
    sizes = {"width": 16, "heads": 2, "layers": 2} if small else {"width": 256, "heads": 4, "layers": 4}
    built = Decoder(vocabulary, context, **sizes)
    return next_token(built, vocabulary, 2, 10 if small else 128, context)


@model
def llama(small):
    vocabulary = 50 if small else 32000
    sizes = {"width": 16, "heads": 4, "groups": 2, "layers": 1, "inner": 40}
    if not small:
        sizes = {"width": 256, "heads": 8, "groups": 2, "layers": 4, "inner": 688}
    built = Llama(vocabulary, **sizes)
    return next_token(built, vocabulary, 2, 10 if small else 128, 2048)


@model
def lstm(small):
    vocabulary, width, hidden, batch, time = (50, 8, 8, 3, 9) if small else (20000, 128, 256, 4, 64)
    built = Recurrent(vocabulary, width, hidden, 2, classes=4)
    inputs = {"input_ids": torch.randint(1, vocabulary, (batch, time))}
    return Case(built, inputs, torch.randint(0, 4, (batch,)), {"input_ids": {0: "batch"}}, random=True)
