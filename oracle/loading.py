"""Loading a quantized model as from_pretrained does it (`"load": true`): the phase `load`.

transformers 5.23, core_model_loading.py, convert_and_load_state_dict_in_model: parameters in the order of their names,
one after the other where they are quantized on the way; integrations/bitsandbytes.py, Bnb4bitQuantize and
Bnb8bitQuantize: a weight comes to the device in the compute dtype and goes when it is packed.
"""

import torch
from transformers.core_model_loading import dot_natural_key


def warm_up(model, element_size):
    """caching_allocator_warmup of modeling_utils.py: one block as large as the model."""
    sizes = (p.numel() * element_size(name.rpartition(".")[0], name, p) for name, p in model.named_parameters())
    torch.empty(int(sum(sizes)) // 2, dtype=torch.float16, device="cuda")


def load(model, pack, element_size):
    """Move a model from the host to the device; `pack` makes of a linear layer its quantized one, or nothing."""
    warm_up(model, element_size)
    for name, parameter in sorted(model.named_parameters(), key=lambda item: dot_natural_key(item[0])):
        place, _, leaf = name.rpartition(".")
        module = model.get_submodule(place)
        weight = torch.nn.Parameter(parameter.data.to("cuda"), requires_grad=False)
        setattr(module, leaf, weight)
        packed = pack(place) if leaf == "weight" else None
        if packed is not None:
            parent, _, child = place.rpartition(".")
            setattr(model.get_submodule(parent), child, packed)
        del weight, module, packed
    model.tie_weights()
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = buffer.to("cuda")
