"""Records small modules for the tests of the front end: traced, decomposed, and PyTorch's own results.

    modules.py [MODULE...]

Run by the interpreter that `tests/models/environment.sh` prints. Writes into `fixtures`, for each module,
`NAME.pt2` (traced), `NAME.core.pt2` (after `run_decompositions`) and `NAME.safetensors` with its inputs, outputs
and changed buffers, computed in float64.
"""

import copy
import math
import pathlib
import sys
import warnings

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

MODULES = {}


def module(inputs, decomposed=True, train=False):
    """Registers a module class with what it is called with; the first dim of each input is the batch."""

    def register(cls):
        MODULES[cls.__name__.lower()] = (cls, inputs, decomposed, train)
        return cls

    return register


def image():
    return (torch.randn(2, 4, 8, 8),)


def rows():
    return (torch.randn(3, 6),)


def pair():
    return (torch.randn(3, 6), torch.randn(3, 6))


@module(rows)
class Unary(nn.Module):
    def forward(self, x):
        p = x.abs() + 0.5
        u = torch.tanh(x) * 0.9
        return (
            x.tan(), u.asin(), u.acos(), x.atan(), x.sinh(), x.cosh(), x.asinh(), (p + 1).acosh(), u.atanh(),
            x.trunc(), x.frac(), p.log2(), p.log10(), x.exp2(), x.erfc(), x.sgn(), torch.deg2rad(x), torch.rad2deg(x),
            torch.logit(p / 9), x.isnan(), (x / 0).isinf(), x.isfinite(), torch.nan_to_num(x / 0, 1.0, 2.0, -3.0), ~(x > 0), x.logical_not(),
            x.exp(), p.log(), p.sqrt(), p.rsqrt(), x.square(), p.reciprocal(), x.neg(), x.sign(), x.floor(), x.ceil(), x.round(),
            x.sin(), x.cos(), x.erf(), x.expm1(), p.log1p(), x.sigmoid(), +x,
        )


@module(rows)
class Activations(nn.Module):
    def __init__(self):
        super().__init__()
        self.prelu = nn.PReLU(6)
        self.one = nn.PReLU()

    def forward(self, x):
        return (
            F.relu(x), F.relu6(x), F.elu(x), F.elu(x, 0.5), F.selu(x), F.celu(x, 1.5), F.leaky_relu(x, 0.1), self.prelu(x), self.one(x),
            F.gelu(x), F.gelu(x, approximate="tanh"), F.silu(x), F.mish(x), F.hardswish(x), F.hardsigmoid(x), F.hardtanh(x, -0.5, 0.7),
            F.softplus(x), F.softplus(x, 2.0, 1.0), F.softsign(x), F.tanhshrink(x), F.softshrink(x, 0.3), F.hardshrink(x, 0.3),
            F.logsigmoid(x), F.glu(x), F.threshold(x, 0.1, 20.0), F.rrelu(x), F.softmax(x, -1), F.log_softmax(x, 1), F.softmin(x, 1),
            x.clamp(-0.5, 0.5), x.clamp(min=0.1), x.clamp_max(0.2), torch.clamp(x, min=x.mean(), max=x.max()),
        )


@module(pair)
class Binary(nn.Module):
    def forward(self, x, y):
        i = (x * 10).to(torch.int64)
        j = (y * 10).to(torch.int64) + 200
        return (
            x + y, x - 2 * y, x * y, x / y, torch.rsub(x, 1.5), x // y, x % y, x % 0.7, torch.fmod(x, y), torch.atan2(x, y), x.abs() ** y, 2.0**x,
            x**2, x**3, x.abs() ** 0.5, torch.maximum(x, y), torch.minimum(x, y), torch.max(x, y), torch.hypot(x, y), torch.logaddexp(x, y),
            torch.xlogy(x.abs(), y.abs()), torch.lerp(x, y, 0.3), torch.lerp(x, y, y), torch.addcmul(x, x, y, value=0.5), torch.addcdiv(x, x, y.abs() + 1, value=2),
            x > y, x >= 0.1, x < y, x <= y, x == y, x != y, (x > 0) & (y > 0), (x > 0) | (y > 0), (x > 0) ^ (y > 0), torch.logical_and(x, y > 0),
            i + j, i * 3, i // 3, i % 7, i - 1, i / j, i & j, i | 3, i ^ j, ~i, i << 1, j >> 2, i.float() * x, torch.where(x > 0, x, y), torch.where(x > 0, x, 0.0),
            torch.where(x > 0, 1.0, 0.0), x.masked_fill(y > 0, -math.inf), torch.div(x, y, rounding_mode="floor"), torch.div(i, 7, rounding_mode="floor"),
            torch.div(i, 7, rounding_mode="trunc"), torch.div(x, y, rounding_mode="trunc"), i.clamp(-3, 5), x + i, (x > 0) + 1, (x > 0).float().mean(), x * torch.tensor(2.0),
        )


@module(lambda: (torch.randn(3, 4, 6),))
class Reductions(nn.Module):
    def forward(self, x):
        return (
            x.sum(), x.sum(1), x.sum((0, 2), keepdim=True), x.mean(-1), x.mean(), x.amax(1), x.amin((1, 2)), x.max(), x.min(), *x.max(1), *x.min(2, keepdim=True),
            x.prod(1), x.argmax(1), x.argmax(), x.argmin(2), x.var(1), x.std(2), x.var(1, unbiased=False), torch.var_mean(x, 2)[0], torch.var_mean(x, 2, correction=0)[1],
            torch.std_mean(x, 1)[0], x.logsumexp(1), x.norm(), x.norm(dim=1), x.norm(p=1, dim=2), torch.linalg.vector_norm(x, 3, dim=1), torch.linalg.vector_norm(x, math.inf, dim=2),
            F.normalize(x, dim=1), x.cumsum(1), x.cumprod(2), (x > 0).any(1), (x > 0).all(), (x > 0).sum(1), torch.count_nonzero(x > 0, dim=1), x.std(), x.var(),
            F.cosine_similarity(x, x + 1, dim=2), F.pairwise_distance(x, x + 1),
        )


@module(lambda: (torch.randn(2, 6, 8),))
class Shapes(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, 1)
        c, d = x.split([2, 6], 2)
        e = x.unbind(1)
        f = torch.tensor_split(x, 3, dim=2)
        return (
            a, b, c, d, e[1], f[2], x.transpose(1, 2), x.permute(2, 0, 1), x.movedim(0, -1), x.mT, x.flatten(1), x.unflatten(1, (2, 3)), x.unsqueeze(0), x.unsqueeze(-1).squeeze(-1),
            x.reshape(x.shape[0], -1), x.view(-1, 8), x.expand(3, -1, -1, -1), x.repeat(1, 2, 1), x.repeat(2, 1, 1, 3), x.repeat_interleave(2, dim=1), x.tile(2), x.roll(1, 1), x.roll((2, -3), (1, 2)), x.roll(3),
            x.flip(1), x.flip((0, 2)), x.tril(), x.triu(1), x.tril(-1), x.diagonal(dim1=1, dim2=1 + 1) if x.shape[1] == x.shape[2] else x[:, :, :6].diagonal(dim1=1, dim2=2), x.narrow(1, 2, 3),
            torch.cat([x, x], 1), torch.stack([x, x], 2), torch.hstack([x, x]), torch.vstack([x, x]), x[:, 1:4], x[:, ::2], x[:, -2], x[..., 1:-1], x[:, None], x[:, [0, 2, 1]], x[:, :, ::3],
            F.pad(x, (1, 2)), F.pad(x, (1, 0, 2, 1), value=3.0), F.pad(x, (-1, 1)), F.pad(x, (2, 3), mode="reflect"), F.pad(x, (2, 3), mode="replicate"), F.pad(x, (2, 3), mode="circular"),
            x.unfold(2, 3, 2), torch.meshgrid(x[0, 0], x[0, :, 0], indexing="ij")[1], torch.meshgrid(x[0, 0], x[0, :, 0], indexing="xy")[0], x.contiguous(), x.swapaxes(1, 2), x.T if x.dim() == 2 else x[0].T,
        )


@module(lambda: (torch.randn(3, 5, 6), torch.randint(0, 5, (3, 4))))
class Indexing(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(5, 7))
        self.register_buffer("picks", torch.tensor([3, 0, 1]))

    def forward(self, x, i):
        rows = torch.arange(x.shape[0])
        y = x.clone()
        y[:, 1] = 0.0
        y[:, 2:4, ::2] += 1.0
        z = torch.zeros(5, 6)
        z[self.picks] = 1.5
        w = torch.zeros(5, 6).index_add(0, self.picks, torch.ones(3, 6))
        return (
            self.table[i], F.embedding(i, self.table), x.index_select(1, self.picks), x[:, self.picks], x[rows, 2], x[rows, self.picks], x[:, self.picks, self.picks], x[rows, :, self.picks],
            x.gather(1, i[:, :, None].expand(-1, -1, 6)), torch.take_along_dim(x, i[:, :, None], 1), x.scatter(1, i[:, :1, None].expand(-1, 1, 6), 9.0),
            x.scatter_add(1, i[:, :, None].expand(-1, -1, 6), torch.ones_like(x)), *x.topk(3, 1), *x.sort(2), x.argsort(1, descending=True), y, z, w, F.one_hot(i, 5), x.masked_fill(x > 0, 0.0),
            x[:, -1], x[0], torch.index_select(self.table, 0, self.picks), z.index_put((self.picks, self.picks), torch.tensor(7.0)),
        )


@module(rows)
class Creation(nn.Module):
    def forward(self, x):
        n = x.shape[0]
        return (
            torch.arange(5), torch.arange(n), torch.arange(2, 11, 3), torch.arange(0, 1, 0.25), torch.arange(6, 0, -2), torch.zeros(2, 3), torch.ones(n, 2), torch.full((2, n), 3.5), torch.full((2,), 7), x.new_zeros(4), x.new_ones(n),
            x.new_full((2, 2), 1.25), torch.zeros_like(x), torch.ones_like(x, dtype=torch.int64), torch.full_like(x, -1.0), torch.eye(3), torch.linspace(0, 1, 7), torch.tensor([1.0, 2.0]) + x[:, :2], torch.zeros(n, dtype=torch.bool),
            x + torch.arange(6, dtype=x.dtype), x * n, x + x.shape[1], torch.empty(2, 3).fill_(4.0), x.numel() * torch.ones(1),
        )


@module(image)
class Pools(nn.Module):
    def forward(self, x):
        s = x.flatten(2)
        v = x.unflatten(1, (2, 2))
        return (
            F.max_pool2d(x, 2), F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 3, 2, 1, ceil_mode=True), F.max_pool2d(x, 2, dilation=2, stride=1), F.max_pool2d(x, 2, return_indices=True)[1],
            F.avg_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), F.avg_pool2d(x, 2, divisor_override=3), F.adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(x, (3, None)), F.adaptive_max_pool2d(x, 3), F.adaptive_max_pool2d(x, 1),
            F.max_pool1d(s, 4), F.avg_pool1d(s, 3, 2, 1), F.adaptive_avg_pool1d(s, 5), F.adaptive_avg_pool1d(s, 1), F.adaptive_max_pool1d(s, 5), F.max_pool3d(v, 2), F.avg_pool3d(v, 2), F.adaptive_avg_pool3d(v, 1), F.adaptive_avg_pool3d(v, (1, 3, 3)), F.lp_pool2d(x, 2, 2),
        )


@module(image)
class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.same = nn.Conv2d(4, 6, 4, padding="same")
        self.valid = nn.Conv2d(4, 6, 3, padding="valid", bias=False)
        self.depth = nn.Conv2d(4, 8, 3, groups=4, padding=2, dilation=2)
        self.strided = nn.Conv2d(4, 3, (3, 5), stride=(2, 1), padding=(1, 2))
        self.circular = nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular")
        self.reflect = nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect")
        self.line = nn.Conv1d(4, 5, 3, padding=1)
        self.volume = nn.Conv3d(2, 3, (1, 3, 3), padding=(0, 1, 1))
        self.up = nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)
        self.grouped_up = nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2, bias=False)
        self.line_up = nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1)
        self.volume_up = nn.ConvTranspose3d(2, 3, 2, stride=2)
        self.normed = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 3, 1))

    def forward(self, x):
        s = x.flatten(2)
        v = x.unflatten(1, (2, 2))
        return (
            self.same(x), self.valid(x), self.depth(x), self.strided(x), self.circular(x), self.reflect(x), self.line(s), self.volume(v), self.up(x), self.grouped_up(x), self.line_up(s), self.volume_up(v), self.normed(x),
            self.valid(x[0]), F.unfold(x, 3, padding=1), F.fold(F.unfold(x, 2, stride=2), (8, 8), 2, stride=2), F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2), F.channel_shuffle(x, 2),
        )


@module(image)
class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LayerNorm([8, 8])
        self.plain = nn.LayerNorm(8, elementwise_affine=False)
        self.group = nn.GroupNorm(2, 4)
        self.instance = nn.InstanceNorm2d(4, affine=True)
        self.bare = nn.InstanceNorm2d(4)
        self.batch = nn.BatchNorm2d(4)
        self.rms = nn.RMSNorm(8)
        self.local = nn.LocalResponseNorm(3)
        self.line = nn.BatchNorm1d(4, affine=False)
        for part in (self.layer, self.group, self.instance, self.batch, self.rms):
            for parameter in part.parameters():
                nn.init.normal_(parameter)
        nn.init.normal_(self.batch.running_mean)
        nn.init.uniform_(self.batch.running_var, 0.5, 2.0)

    def forward(self, x):
        return (self.layer(x), self.plain(x), self.group(x), self.instance(x), self.bare(x), self.batch(x), self.rms(x), self.local(x), self.line(x.flatten(2)), F.rms_norm(x, (8, 8), eps=1e-3))


@module(image, decomposed=False)
class Resizes(nn.Module):
    def forward(self, x):
        s = x.flatten(2)[:, :, :16]
        grid = F.affine_grid(torch.tensor([[[0.8, 0.1, 0.0], [-0.1, 0.9, 0.2]]]).expand(x.shape[0], 2, 3).to(x.dtype), [2, 4, 6, 5], align_corners=False) if x.shape[0] == 2 else None
        out = [
            F.interpolate(x, scale_factor=2), F.interpolate(x, size=(5, 11)), F.interpolate(x, scale_factor=0.7), F.interpolate(x, scale_factor=2, mode="nearest-exact"), F.interpolate(x, size=(5, 3), mode="nearest-exact"),
            F.interpolate(x, scale_factor=2, mode="bilinear"), F.interpolate(x, size=(5, 11), mode="bilinear"), F.interpolate(x, scale_factor=1.5, mode="bilinear", align_corners=True), F.interpolate(x, scale_factor=1.7, mode="bilinear"),
            F.interpolate(x, scale_factor=2, mode="bicubic"), F.interpolate(x, size=(5, 6), mode="bicubic", align_corners=True), F.interpolate(x, size=(5, 3), mode="bilinear", antialias=True), F.interpolate(x, size=(5, 3), mode="bicubic", antialias=True),
            F.interpolate(s, scale_factor=2, mode="linear"), F.interpolate(s, size=9), F.interpolate(x.unflatten(1, (2, 2)), scale_factor=2, mode="trilinear"), F.interpolate(x, size=(1, 1), mode="bilinear"),
        ]
        if grid is not None:
            out += [F.grid_sample(x, grid, align_corners=False), F.grid_sample(x, grid, mode="nearest", padding_mode="border", align_corners=True)]
        return tuple(out)


@module(lambda: (torch.randn(2, 5, 8),), decomposed=False)
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)
        self.bare = nn.LSTM(8, 6, bias=False)
        self.gru = nn.GRU(8, 6, 2, batch_first=True, bidirectional=True)
        self.tanh = nn.RNN(8, 6, batch_first=True)
        self.relu = nn.RNN(8, 6, nonlinearity="relu")
        self.lstm_cell = nn.LSTMCell(8, 6)
        self.gru_cell = nn.GRUCell(8, 6)
        self.rnn_cell = nn.RNNCell(8, 6)

    def forward(self, x):
        a, (b, c) = self.lstm(x)
        d, (e, f) = self.bare(x.transpose(0, 1))
        return (a, b, c, d, e, f, *self.gru(x), *self.tanh(x), *self.relu(x.transpose(0, 1)), *self.lstm_cell(x[:, 0]), self.gru_cell(x[:, 0]), self.rnn_cell(x[:, 0]))


@module(lambda: (torch.randn(2, 5, 8), torch.rand(2, 5) > 0.3), decomposed=False)
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, activation="gelu", norm_first=True)

    def forward(self, x, keep):
        q = x.view(x.shape[0], 5, 2, 4).transpose(1, 2)
        mask = keep[:, None, None, :] | torch.eye(5, dtype=torch.bool)
        causal = nn.Transformer.generate_square_subsequent_mask(5)
        return (
            F.scaled_dot_product_attention(q, q, q), F.scaled_dot_product_attention(q, q, q, is_causal=True), F.scaled_dot_product_attention(q, q, q, attn_mask=mask), F.scaled_dot_product_attention(q, q, q, scale=0.3),
            F.scaled_dot_product_attention(q.repeat(1, 2, 1, 1), q, q, enable_gqa=True), F.scaled_dot_product_attention(q, q, q, attn_mask=causal.to(q.dtype)),
            *self.heads(x, x, x), self.heads(x, x, x, key_padding_mask=~keep & ~torch.tensor([True, False, False, False, False]), need_weights=False)[0], self.layer(x), self.layer(x, src_mask=causal.to(x.dtype)), self.decoder(x, x),
            torch.einsum("bhid,bhjd->bhij", q, q), torch.einsum("b i d, d e -> b i e", x, torch.ones(8, 3, dtype=x.dtype)),
        )


@module(lambda: (torch.randn(2, 5, 8),))
class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        q = x.view(x.shape[0], 5, 2, 4).transpose(1, 2)
        mask = torch.eye(5, dtype=torch.bool) | (torch.arange(5) > 2)
        return *self.heads(x, x, x), F.scaled_dot_product_attention(q, q, q, is_causal=True), F.scaled_dot_product_attention(q, q, q, attn_mask=mask)


@module(rows)
class Products(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 5))
        self.bilinear = nn.Bilinear(6, 6, 4)

    def forward(self, x):
        b = x[None].expand(2, -1, -1)
        v = self.weight[:, 0]
        return (
            x @ self.weight, torch.mm(x, self.weight), torch.bmm(b, self.weight[None].expand(2, -1, -1)), torch.addmm(self.weight[0], x, self.weight, beta=0.5, alpha=2), torch.mv(x, v), torch.dot(v, v), torch.outer(v, v),
            torch.baddbmm(b[:, :, :5], b, self.weight[None].expand(2, -1, -1), beta=0.5), x.matmul(v), torch.inner(v, v), self.bilinear(x, x), torch.cdist(b, b + 1), F.linear(x, self.weight.t(), self.weight[0]), torch.tensordot(x, self.weight, dims=1), torch.linalg.norm(x), torch.kron(v[:2], v[:3]),
        )


@module(rows)
class Writes(nn.Module):
    """Writes in place, through views and to what is viewed."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("hidden", torch.arange(6.0), persistent=False)

    def forward(self, x):
        a = torch.zeros(4, 6, dtype=x.dtype)
        a[1:3, 2] = 5.0
        a[:, ::2].add_(1.0)
        a.t()[0].mul_(3.0)
        view = a.view(2, 12)
        view[1, -1] = -7.0
        b = x.clone()
        c = b.reshape(-1)
        c.mul_(2.0)
        d = b.transpose(0, 1).contiguous()
        d.add_(100.0)
        e = x * 1.0
        first, second = e.chunk(2, 1)
        first.zero_()
        second.copy_(first + 1)
        f = F.relu_(x - 0.1)
        g = (x + 0.0).masked_fill_(x > 0, 2.0)
        h = F.dropout(b, 0.5, False)
        h.sub_(1.0)
        self.mean.mul_(0.9).add_(x.mean(0).detach(), alpha=0.1)
        self.count.add_(1)
        with torch.no_grad():
            k = x * 2
        return a, view, b, c, d, e, f, g, h, k, x + self.hidden, x + self.mean


@module(lambda: (torch.randn(3, 4), torch.randint(0, 4, (3,))))
class Losses(nn.Module):
    def forward(self, x, y):
        t = torch.sigmoid(x + 1)
        return (
            F.cross_entropy(x, y), F.cross_entropy(x, y, label_smoothing=0.1), F.cross_entropy(x, y, ignore_index=1, reduction="sum"), F.nll_loss(F.log_softmax(x, 1), y), F.mse_loss(x, t), F.l1_loss(x, t, reduction="sum"), F.smooth_l1_loss(x, t, beta=0.5), F.huber_loss(x, t, delta=0.3),
            F.binary_cross_entropy_with_logits(x, t), F.binary_cross_entropy(t, t), F.kl_div(F.log_softmax(x, 1), t, reduction="batchmean"), F.cross_entropy(x, F.softmax(t, 1)),
        )


@module(lambda: (torch.randint(0, 9, (2, 7)),))
class Tokens(nn.Module):
    """Two symbolic dims, tables cut to the sequence, a causal mask."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 8, padding_idx=0)
        self.places = nn.Parameter(torch.randn(1, 16, 8))
        self.register_buffer("mask", torch.ones(16, 16).tril().bool(), persistent=False)
        self.register_buffer("ids", torch.arange(16)[None])

    def forward(self, tokens):
        n, t = tokens.shape
        x = self.words(tokens) + self.places[:, :t] + self.words(self.ids[:, :t] % 9)
        scores = x @ x.transpose(1, 2) / math.sqrt(8)
        scores = scores.masked_fill(~self.mask[:t, :t], float("-inf"))
        y = scores.softmax(-1) @ x
        last = y[torch.arange(n), (tokens != 0).sum(1).clamp(min=1) - 1]
        pooled = (y * (tokens != 0)[..., None]).sum(1) / (tokens != 0).sum(1, keepdim=True).clamp(min=1)
        return y, last, pooled, y.mean(1), y.reshape(n * t, 8), y[:, t // 2 :], y.view(n, t, 2, 4).permute(0, 2, 1, 3), torch.full((t, t), -1.0).triu(1)


@module(image, train=True)
class Training(nn.Module):
    """Batch norms in training, one of them used twice; every probability is 0."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.own = nn.BatchNorm1d(4, momentum=0.3, affine=False)
        self.bare = nn.BatchNorm2d(4, track_running_stats=False)
        self.drop = nn.Dropout(0.0)

    def forward(self, x):
        y = self.norm(self.drop(self.norm(x)))
        return y, self.own(x.flatten(2)), self.bare(x)


@module(rows)
class Stopped(nn.Module):
    """A part under no_grad, a detached part, a frozen parameter, and a tied one."""

    def __init__(self):
        super().__init__()
        self.learned = nn.Linear(6, 4)
        self.fixed = nn.Linear(6, 4)
        self.cut = nn.Linear(6, 4)
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
        self.again = self.learned

    def forward(self, x):
        with torch.no_grad():
            y = self.fixed(x) * 2
        return self.learned(x) + y + self.cut(x).detach() + self.frozen + self.again(x + 1)


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folder = pathlib.Path(__file__).parent / "fixtures"
    folder.mkdir(exist_ok=True)
    for name in sys.argv[1:] or sorted(MODULES):
        cls, inputs, decomposed, train = MODULES[name]
        torch.manual_seed(len(name) + sum(map(ord, name)))
        built, given = cls().train(train), inputs()
        record(folder, name, built, given, decomposed)


def record(folder, name, built, given, decomposed):
    double = copy.deepcopy(built).double()
    wide = [value.double() if value.is_floating_point() else value for value in given]
    with torch.no_grad():
        expected = flat(double(*(value.clone() for value in wide)))
    names = list(__import__("inspect").signature(built.forward).parameters)
    dims = {argument: {0: torch.export.Dim.AUTO} for argument in names}
    if name == "tokens":
        dims["tokens"][1] = torch.export.Dim.AUTO
    try:
        program = torch.export.export(built, given, dynamic_shapes=dims)
        save(program, folder / f"{name}.pt2")
        if decomposed:
            save(program.run_decompositions(), folder / f"{name}.core.pt2")
    except Exception as why:
        print(f"{name}: {type(why).__name__}: {str(why)[:400]}")
        return
    values = {f"input/{argument}": value for argument, value in zip(names, given)}
    for place, value in enumerate(expected):
        value = value.float() if value.is_floating_point() else value
        values[f"output.{place}" if len(expected) > 1 else "output"] = value.contiguous().clone()
    for buffer, value in double.named_buffers():
        if not torch.equal(value, dict(built.double().named_buffers())[buffer]):
            value = value.float() if value.is_floating_point() else value
            values[f"update/{buffer}"] = value.contiguous().clone()
    save_file(values, folder / f"{name}.safetensors")
    print(name, len(expected))


def flat(value):
    return [one for part in value for one in flat(part)] if isinstance(value, (tuple, list)) else [value]


def save(program, path):
    for part in program.graph_module.modules():
        if isinstance(part, torch.fx.GraphModule):
            for node in part.graph.nodes:
                node.meta.pop("stack_trace", None)
                node.meta.pop("torch_fn", None)
    program.example_inputs = None
    torch.export.save(program, path)


if __name__ == "__main__":
    main()
