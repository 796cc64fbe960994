"""The experts of a mixture one after another, as `experts_implementation="eager"` runs them.

Which tokens an expert gets is a matter of values, which fake tensors have not: here every expert gets as many, or one
of them (`busiest`) `imbalance` times as many, at most every token, and the others share what is left. The statements
are those of MixtralExperts.forward and GptOssExperts.forward (transformers 5.23; of 4.48,
MixtralSparseMoeBlock.forward) with the sizes put in.
"""

import math

import types

import torch
from torch.nn.functional import linear


def one_hot(indices, classes):
    """torch.nn.functional.one_hot as CUDA runs it; on shapes it would take another path."""
    return torch.zeros(*indices.shape, classes, dtype=torch.long, device=indices.device).scatter_(
        -1, indices.unsqueeze(-1), 1)


def rows_of_experts(pairs, tokens, experts, imbalance, busiest):
    """How many tokens each expert gets; the last of the others takes up what division leaves."""
    share = -(-pairs // experts)
    most = min(math.ceil(imbalance * share), tokens)
    others = [number for number in range(experts) if number != busiest]
    if imbalance == 1 or not others:
        return [share] * experts
    rest = experts * share - most
    rows = [rest // len(others)] * experts
    rows[busiest] = most
    rows[others[-1]] += rest % len(others)
    return rows


def forward(self, hidden_states, top_k_index, top_k_weights):
    final_hidden_states = torch.zeros_like(hidden_states)
    with torch.no_grad():
        expert_mask = one_hot(top_k_index, self.num_experts + 1)
        expert_mask = expert_mask.permute(2, 1, 0)
        hit = torch.greater(expert_mask.sum(dim=(-1, -2)), 0)
        expert_hit = torch.empty(self.num_experts, 1, dtype=torch.long, device=hit.device)
        del hit
    rows = rows_of_experts(
        top_k_index.numel(), hidden_states.shape[0], self.num_experts, self.imbalance, self.busiest)
    for number in range(self.num_experts):
        expert_idx = expert_hit[number][0]
        top_k_pos, token_idx = torch.empty(rows[number], 2, dtype=torch.long, device=expert_idx.device).unbind(1)
        current_state = hidden_states[token_idx]
        gate, up = linear(current_state, self.gate_up_proj[number]).chunk(2, dim=-1)
        current_hidden_states = self.act_fn(gate) * up
        current_hidden_states = linear(current_hidden_states, self.down_proj[number])
        current_hidden_states = current_hidden_states * top_k_weights[token_idx, top_k_pos, None]
        final_hidden_states.index_add_(0, token_idx, current_hidden_states.to(final_hidden_states.dtype))
    return final_hidden_states


def forward_with_biases(self, hidden_states, router_indices=None, routing_weights=None):
    """GptOssExperts.forward, whose weights lie the other way round and have biases."""
    next_states = torch.zeros_like(hidden_states, dtype=hidden_states.dtype, device=hidden_states.device)
    with torch.no_grad():
        expert_mask = one_hot(router_indices, self.num_experts)
        expert_mask = expert_mask.permute(2, 1, 0)
        hit = torch.greater(expert_mask.sum(dim=(-1, -2)), 0)
        expert_hit = torch.empty(self.num_experts, 1, dtype=torch.long, device=hit.device)
        del hit
    rows = rows_of_experts(
        router_indices.numel(), hidden_states.shape[0], self.num_experts, self.imbalance, self.busiest)
    for number in range(self.num_experts):
        expert_idx = expert_hit[number][0]
        top_k_pos, token_idx = torch.empty(rows[number], 2, dtype=torch.long, device=expert_idx.device).unbind(1)
        current_state = hidden_states[token_idx]
        gate_up = current_state @ self.gate_up_proj[number] + self.gate_up_proj_bias[number]
        gated_output = self._apply_gate(gate_up)
        out = gated_output @ self.down_proj[number] + self.down_proj_bias[number]
        weighted_output = out * routing_weights[token_idx, top_k_pos, None]
        next_states.index_add_(0, token_idx, weighted_output.to(hidden_states.dtype))
    return next_states


def forward_4_48(self, hidden_states):
    """MixtralSparseMoeBlock.forward of transformers 4.48, whose experts are modules."""
    batch_size, sequence_length, hidden_dim = hidden_states.shape
    hidden_states = hidden_states.view(-1, hidden_dim)
    router_logits = self.gate(hidden_states)
    routing_weights = torch.nn.functional.softmax(router_logits, dim=1, dtype=torch.float)
    routing_weights, selected_experts = torch.topk(routing_weights, self.top_k, dim=-1)
    routing_weights /= routing_weights.sum(dim=-1, keepdim=True)
    routing_weights = routing_weights.to(hidden_states.dtype)
    final_hidden_states = torch.zeros(
        (batch_size * sequence_length, hidden_dim), dtype=hidden_states.dtype, device=hidden_states.device)
    expert_mask = one_hot(selected_experts, self.num_experts).permute(2, 1, 0)
    rows = rows_of_experts(
        selected_experts.numel(), hidden_states.shape[0], self.num_experts, self.imbalance, self.busiest)
    for expert_idx in range(self.num_experts):
        expert_layer = self.experts[expert_idx]
        idx, top_x = torch.empty(rows[expert_idx], 2, dtype=torch.long, device=expert_mask.device).unbind(1)
        current_state = hidden_states[None, top_x].reshape(-1, hidden_dim)
        current_hidden_states = expert_layer(current_state) * routing_weights[top_x, idx, None]
        final_hidden_states.index_add_(0, top_x, current_hidden_states.to(hidden_states.dtype))
    final_hidden_states = final_hidden_states.reshape(batch_size, sequence_length, hidden_dim)
    return final_hidden_states, router_logits


def run_in_a_loop(model, imbalance, busiest):
    """Give every module of experts the loop."""
    for module in model.modules():
        older = hasattr(module, "jitter_noise") and isinstance(module.experts, torch.nn.ModuleList)
        if older or hasattr(module, "_apply_gate"):
            module.imbalance, module.busiest = imbalance, busiest
            one_by_one = forward_with_biases if hasattr(module, "gate_up_proj_bias") else forward
            module.forward = types.MethodType(forward_4_48 if older else one_by_one, module)
