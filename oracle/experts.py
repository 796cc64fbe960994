"""The experts of a mixture one after another, as `experts_implementation="eager"` runs them.

Which tokens an expert gets is a matter of values, which fake tensors have not: here every expert gets as many. The
statements are those of MixtralExperts.forward (transformers 5.23) with the sizes put in.
"""

import types

import torch
from torch.nn.functional import linear


def one_hot(indices, classes):
    """torch.nn.functional.one_hot as CUDA runs it; on shapes it would take another path."""
    return torch.zeros(*indices.shape, classes, dtype=torch.long, device=indices.device).scatter_(
        -1, indices.unsqueeze(-1), 1)


def balanced_forward(self, hidden_states, top_k_index, top_k_weights):
    final_hidden_states = torch.zeros_like(hidden_states)
    with torch.no_grad():
        expert_mask = one_hot(top_k_index, self.num_experts + 1)
        expert_mask = expert_mask.permute(2, 1, 0)
        hit = torch.greater(expert_mask.sum(dim=(-1, -2)), 0)
        expert_hit = torch.empty(self.num_experts, 1, dtype=torch.long, device=hit.device)
        del hit
    share = -(-top_k_index.numel() // self.num_experts)
    for number in range(self.num_experts):
        expert_idx = expert_hit[number][0]
        top_k_pos, token_idx = torch.empty(share, 2, dtype=torch.long, device=expert_idx.device).unbind(1)
        current_state = hidden_states[token_idx]
        gate, up = linear(current_state, self.gate_up_proj[number]).chunk(2, dim=-1)
        current_hidden_states = self.act_fn(gate) * up
        current_hidden_states = linear(current_hidden_states, self.down_proj[number])
        current_hidden_states = current_hidden_states * top_k_weights[token_idx, top_k_pos, None]
        final_hidden_states.index_add_(0, token_idx, current_hidden_states.to(final_hidden_states.dtype))
    return final_hidden_states


def run_in_a_loop(model):
    """Give every module of experts the balanced loop."""
    for module in model.modules():
        if hasattr(module, "_apply_gate"):
            module.forward = types.MethodType(balanced_forward, module)
