"""Modules of other libraries than transformers, and of none: each a factory of sizes that returns a model and its batch."""

import importlib
import pathlib
import sys
import types

import torch
import torch.nn.functional as F

sys.path.append(str(pathlib.Path(sys.prefix) / "modules"))  # where requirements-modules.txt is installed


def know_torchvision():
    """Its wheel on PyPI is for CUDA builds of torch: on another its kernels do not load, and it fails to give two of them a
    shape function. Declared here, they are there, and no model needs them."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        pass
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")


def know_torchtune():
    """It asks torchao for the packed weights of QLoRA, which 0.18 has elsewhere; no model here has any."""
    packed = types.ModuleType("torchao.dtypes.nf4tensor")
    packed.NF4Tensor = type("NF4Tensor", (torch.Tensor,), {})
    packed.to_nf4 = packed.linear_nf4 = None
    packed.implements = lambda ops: lambda function: function
    sys.modules[packed.__name__] = packed


def load(library):
    """A library, before anything is traced."""
    if library == "torchtune":
        know_torchtune()
    importlib.import_module(library)


def tokens(batch, length):
    return torch.zeros(batch, length, dtype=torch.long)


def classes(batch):
    return torch.zeros(batch, dtype=torch.long)


class Loss(torch.nn.Module):
    """A model with the cross entropy of what it answers."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs, labels):
        answers = self.model(inputs)
        return F.cross_entropy(answers.reshape(-1, answers.shape[-1]), labels.reshape(-1))


class Squares(torch.nn.Module):
    """A denoiser with the mean squared difference of what it answers."""

    def __init__(self, model, **given):
        super().__init__()
        self.model, self.given = model, given

    def forward(self, noisy, noise, **more):
        answers = self.model(noisy, **self.given, **more).sample
        return F.mse_loss(answers[:, : noise.shape[1]], noise)


# --- of no library


class Block(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.c_attn, self.c_proj = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.c_fc, self.c_out = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in self.c_attn(self.ln_1(x)).split(c, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).contiguous().view(b, t, c)
        x = x + F.dropout(self.c_proj(y), 0.1)
        return x + F.dropout(self.c_out(F.gelu(self.c_fc(self.ln_2(x)))), 0.1)


class NanoGpt(torch.nn.Module):
    """A GPT in the manner of nanoGPT."""

    def __init__(self, vocab, length, width, heads, layers):
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(vocab, width), torch.nn.Embedding(length, width)
        self.h = torch.nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f, self.lm_head = torch.nn.LayerNorm(width), torch.nn.Linear(width, vocab, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def nanogpt(B, T, C, L, V):
    return Loss(NanoGpt(V, 256, C, 8, L)), (tokens(B, T), tokens(B, T))


def turned(x, angles):
    """Rotary positions by complex numbers."""
    parts = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(parts * angles[None, :, None]).flatten(3).type_as(x)


class LlamaBlock(torch.nn.Module):
    def __init__(self, width, heads, groups, hidden):
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.wq = torch.nn.Linear(width, width, bias=False)
        self.wk = torch.nn.Linear(width, groups * self.size, bias=False)
        self.wv = torch.nn.Linear(width, groups * self.size, bias=False)
        self.wo = torch.nn.Linear(width, width, bias=False)
        self.w1, self.w3 = (torch.nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.w2 = torch.nn.Linear(hidden, width, bias=False)
        self.attention_norm, self.ffn_norm = torch.nn.RMSNorm(width), torch.nn.RMSNorm(width)

    def forward(self, x, angles):
        b, t, _ = x.shape
        h = self.attention_norm(x)
        q = turned(self.wq(h).view(b, t, -1, self.size), angles).transpose(1, 2)
        k = turned(self.wk(h).view(b, t, -1, self.size), angles).repeat_interleave(self.heads // self.groups, 2).transpose(1, 2)
        v = self.wv(h).view(b, t, -1, self.size).repeat_interleave(self.heads // self.groups, 2).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.wo(y.transpose(1, 2).contiguous().view(b, t, -1))
        h = self.ffn_norm(x)
        return x + self.w2(F.silu(self.w1(h)) * self.w3(h))


class TitanLlama(torch.nn.Module):
    """A Llama in the manner of torchtitan: complex rotations, layers in a dictionary."""

    def __init__(self, vocab, length, width, heads, groups, hidden, layers):
        super().__init__()
        self.tok_embeddings = torch.nn.Embedding(vocab, width)
        self.register_buffer("angles", torch.empty(length, width // heads // 2, dtype=torch.complex64), persistent=False)
        self.layers = torch.nn.ModuleDict({str(i): LlamaBlock(width, heads, groups, hidden) for i in range(layers)})
        self.norm, self.output = torch.nn.RMSNorm(width), torch.nn.Linear(width, vocab, bias=False)

    def forward(self, ids):
        x = self.tok_embeddings(ids)
        for layer in self.layers.values():
            x = layer(x, self.angles[: ids.shape[1]])
        return self.output(self.norm(x))


def titan_llama(B, T, C, L, V, F):  # noqa: N803
    return Loss(TitanLlama(V, 4096, C, 8, 2, F, L)), (tokens(B, T), tokens(B, T))


def encoder_decoder(B, T, S, C, L):
    model = torch.nn.Transformer(C, 8, L, L, 4 * C, batch_first=True)
    return model, (torch.empty(B, T, C), torch.empty(B, S, C))


def post_norm_encoder(B, T, C, L):
    layer = torch.nn.TransformerEncoderLayer(C, 8, 4 * C, batch_first=True)
    return torch.nn.TransformerEncoder(layer, L, enable_nested_tensor=False), torch.empty(B, T, C)


def lstm(B, T, C):
    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = torch.nn.LSTM(C, C, batch_first=True), torch.nn.Linear(C, 10)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    return Loss(Recurrent()), (torch.empty(B, T, C), classes(B))


# --- of libraries


def timm(name, size=224):
    def make(B):
        import timm

        return Loss(timm.create_model(name)), (torch.empty(B, 3, size, size), classes(B))

    return make


def timm_vit(B, C, L):
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(embed_dim=C, depth=L, num_heads=8)
    return Loss(model), (torch.empty(B, 3, 224, 224), classes(B))


def torchvision(name):
    def make(B):
        import torchvision

        return Loss(getattr(torchvision.models, name)()), (torch.empty(B, 3, 224, 224), classes(B))

    return make


def dit(B, L):
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(num_attention_heads=8, attention_head_dim=32, num_layers=L, sample_size=16)
    noise = torch.empty(B, 4, 16, 16)
    return Squares(model), {"noisy": noise, "noise": noise, "timestep": tokens(B, 1)[:, 0], "class_labels": classes(B)}


def unet(B):
    from diffusers import UNet2DConditionModel

    model = UNet2DConditionModel(block_out_channels=(64, 128, 256, 256), cross_attention_dim=64, attention_head_dim=8)
    noise = torch.empty(B, 4, 32, 32)
    return Squares(model), {
        "noisy": noise, "noise": noise, "timestep": tokens(B, 1)[:, 0], "encoder_hidden_states": torch.empty(B, 77, 64),
    }  # fmt: skip


def x_transformers(B, T, C, L):
    from x_transformers import Decoder, TransformerWrapper

    layers = Decoder(dim=C, depth=L, heads=8, rotary_pos_emb=True)
    return Loss(TransformerWrapper(num_tokens=1000, max_seq_len=256, attn_layers=layers)), (tokens(B, T), tokens(B, T))


def torchtune(B, T, L):
    from torchtune.models.llama3 import llama3

    model = llama3(vocab_size=1000, num_layers=L, num_heads=8, num_kv_heads=2, embed_dim=256, max_seq_len=256)
    return Loss(model), (tokens(B, T), tokens(B, T))


#: By name: the package it needs, the factory, and the sizes that it is traced at.
MODULES = {
    "nanoGPT": ("torch", nanogpt, {"B": 4, "T": 64, "C": 128, "L": 6, "V": 1000}),
    "Llama of torchtitan": ("torch", titan_llama, {"B": 4, "T": 64, "C": 128, "L": 6, "V": 1000, "F": 384}),
    "nn.Transformer": ("torch", encoder_decoder, {"B": 4, "T": 48, "S": 32, "C": 128, "L": 6}),
    "nn.TransformerEncoder": ("torch", post_norm_encoder, {"B": 4, "T": 64, "C": 128, "L": 6}),
    "nn.LSTM": ("torch", lstm, {"B": 4, "T": 16, "C": 32}),
    "timm VisionTransformer": ("timm", timm_vit, {"B": 4, "C": 192, "L": 6}),
    **{
        f"timm {name}": ("timm", timm(name, size), {"B": 4})
        for name, size in {
            "vit_base_patch16_224": 224, "deit_small_patch16_224": 224, "swin_tiny_patch4_window7_224": 224,
            "convnext_tiny": 224, "resnet50": 224, "efficientnet_b0": 224, "mixer_b16_224": 224, "beit_base_patch16_224": 224,
            "maxvit_tiny_tf_224": 224, "eva02_tiny_patch14_224": 224,
        }.items()
    },
    **{f"torchvision {name}": ("torchvision", torchvision(name), {"B": 4}) for name in ("vit_b_16", "swin_t", "resnet50")},
    "diffusers DiT": ("diffusers", dit, {"B": 4, "L": 6}),
    "diffusers UNet2DCondition": ("diffusers", unet, {"B": 4}),
    "x-transformers Decoder": ("x_transformers", x_transformers, {"B": 4, "T": 64, "C": 128, "L": 6}),
    "torchtune llama3": ("torchtune", torchtune, {"B": 4, "T": 64, "L": 6}),
}
