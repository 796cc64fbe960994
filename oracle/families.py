"""What random cases are made of: every family's tasks, small odd sizes, options of its config, and linear layers."""

import dataclasses

DECODER = ("causal-lm", "causal-lm", "causal-lm", "sequence-classification", "token-classification", "question-answering",
           "feature-extraction")
CAUSAL = ("causal-lm", "feature-extraction")
ENCODER = ("masked-lm", "masked-lm", "sequence-classification", "token-classification", "question-answering",
           "multiple-choice", "feature-extraction")

# What a config calls each size. A size that a family has not, it has no name for.
HF = {"hidden": "hidden_size", "ffn": "intermediate_size", "layers": "num_hidden_layers", "heads": "num_attention_heads",
      "vocab": "vocab_size"}
GROUPED = HF | {"groups": "num_key_value_heads"}
OWN_HEADS = GROUPED | {"head_dim": "head_dim"}
LATENT = HF | {"groups_of_one": "num_key_value_heads", "expert": "moe_intermediate_size", "queries": "q_lora_rank",
               "values": "kv_lora_rank", "rest": "qk_nope_head_dim", "turned": "qk_rope_head_dim", "value_dim": "v_head_dim"}
GPT = {"hidden": "n_embd", "ffn": "n_inner", "layers": "n_layer", "heads": "n_head", "vocab": "vocab_size"}
DISTILBERT = {"hidden": "dim", "ffn": "hidden_dim", "layers": "n_layers", "heads": "n_heads", "vocab": "vocab_size"}
T5 = {"hidden": "d_model", "ffn": "d_ff", "layers": "num_layers", "heads": "num_heads", "head_dim": "d_kv", "vocab": "vocab_size"}

TIES = {"tie_word_embeddings": (True, False)}
BIASES = {"attention_bias": (True,), "attention_dropout": (0.1,)}
ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh", "quick_gelu", "tanh")
BERT_OPTIONS = TIES | {"hidden_act": ACTIVATIONS, "hidden_dropout_prob": (0.0, 0.2), "attention_probs_dropout_prob": (0.0, 0.2),
                       "classifier_dropout": (0.0, 0.3), "type_vocab_size": (1, 3), "chunk_size_feed_forward": (8,),
                       "is_decoder": (True,)}
WINDOW = {"sliding_window": (5, 32, 300)}
QWEN_WINDOW = {"use_sliding_window": (True,), "max_window_layers": (0, 1, 2)} | WINDOW
ROPE = {"rope_parameters": ({"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0},
                            {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0},
                            {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 256})}
LLAMA_OPTIONS = TIES | BIASES | ROPE | {"mlp_bias": (True,), "hidden_act": ACTIVATIONS}
ROUTER = {"output_router_logits": (True,), "norm_topk_prob": (True, False)}
SPARSE = ROUTER | {"decoder_sparse_step": (2,), "mlp_only_layers": ([0],)}

SEEN = {k: v for k, v in HF.items() if k != "vocab"}  # a model that reads no text
BART = {"hidden": "d_model", "layers": "encoder_layers", "decoder": "decoder_layers", "heads": "encoder_attention_heads",
        "decoder_heads": "decoder_attention_heads", "ffn": "encoder_ffn_dim", "decoder_ffn": "decoder_ffn_dim", "vocab": "vocab_size"}
EXPERTS = {"experts": "num_local_experts", "taken": "num_experts_per_tok"}

LLAMA_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ATTENTION_LINEAR = LLAMA_LINEAR[:4]
LATENT_LINEAR = ("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj")
BERT_LINEAR = ("query", "key", "value", "dense")
IMAGE_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2")
BART_LINEAR = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
BART_OPTIONS = TIES | {"dropout": (0.0,), "attention_dropout": (0.1,), "activation_dropout": (0.1,), "activation_function": ACTIVATIONS,
                       "scale_embedding": (True,)}
IMAGE_OPTIONS = {"hidden_dropout_prob": (0.1,), "attention_probs_dropout_prob": (0.1,), "hidden_act": ACTIVATIONS}


@dataclasses.dataclass(frozen=True)
class Family:
    """One row: `options` are fields that a config may set, each to one of a few values."""
    name: str
    tasks: tuple
    sizes: dict
    options: dict
    linear: tuple
    fixed: dict = dataclasses.field(default_factory=dict)


ROWS = (
    Family("llama", DECODER, OWN_HEADS, LLAMA_OPTIONS, LLAMA_LINEAR),
    Family("mistral", DECODER, OWN_HEADS, TIES | WINDOW | {"attention_dropout": (0.1,)}, LLAMA_LINEAR,
           {"sliding_window": None}),
    Family("mixtral", DECODER, GROUPED | {"experts": "num_local_experts", "taken": "num_experts_per_tok"},
           TIES | WINDOW | {"attention_dropout": (0.1,), "output_router_logits": (True,)}, ATTENTION_LINEAR),
    Family("qwen2", DECODER, GROUPED, TIES | QWEN_WINDOW | {"attention_dropout": (0.1,)}, LLAMA_LINEAR),
    Family("qwen3", DECODER, OWN_HEADS, TIES | QWEN_WINDOW | BIASES, LLAMA_LINEAR),
    Family("qwen2_moe", DECODER, GROUPED | {"experts": "num_experts", "taken": "num_experts_per_tok",
                                            "expert": "moe_intermediate_size", "shared": "shared_expert_intermediate_size"},
           TIES | SPARSE | {"qkv_bias": (False,)}, ATTENTION_LINEAR),
    Family("qwen3_moe", DECODER, OWN_HEADS | {"experts": "num_experts", "taken": "num_experts_per_tok",
                                              "expert": "moe_intermediate_size"},
           TIES | SPARSE | BIASES, ATTENTION_LINEAR),
    Family("gemma", DECODER, OWN_HEADS, TIES | BIASES, LLAMA_LINEAR),
    Family("gemma2", DECODER, OWN_HEADS, TIES | WINDOW | BIASES | {"attn_logit_softcapping": (None,),
                                                                   "final_logit_softcapping": (None,)}, LLAMA_LINEAR),
    Family("gemma3_text", DECODER, OWN_HEADS, TIES | WINDOW | BIASES | {"final_logit_softcapping": (30.0,)}, LLAMA_LINEAR),
    Family("olmo", DECODER, GROUPED, TIES | BIASES | {"clip_qkv": (8.0,)}, LLAMA_LINEAR),
    Family("olmo2", DECODER, GROUPED, TIES | BIASES, LLAMA_LINEAR),
    Family("granite", DECODER, GROUPED, TIES | BIASES | {"mlp_bias": (True,), "logits_scaling": (8.0,),
                                                         "residual_multiplier": (0.22,)}, LLAMA_LINEAR),
    Family("phi3", DECODER, GROUPED, TIES | WINDOW | {"resid_pdrop": (0.1,), "embd_pdrop": (0.1,), "attention_dropout": (0.1,)},
           ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")),
    Family("gpt_neox", DECODER, HF, TIES | {"use_parallel_residual": (False,), "hidden_dropout": (0.1,),
                                            "attention_dropout": (0.1,), "rotary_pct": (1.0, 0.5), "attention_bias": (False,)},
           ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")),
    Family("starcoder2", DECODER, GROUPED, TIES | WINDOW | {"residual_dropout": (0.1,), "embedding_dropout": (0.1,),
                                                            "use_bias": (False,), "attention_dropout": (0.1,)},
           ATTENTION_LINEAR + ("c_fc", "c_proj")),
    Family("stablelm", DECODER, GROUPED, TIES | {"hidden_dropout": (0.1,), "use_qkv_bias": (True,), "attention_dropout": (0.1,),
                                                 "use_parallel_residual": (True,), "qk_layernorm": (True,)}, LLAMA_LINEAR),
    Family("phi", DECODER, GROUPED, TIES | {"resid_pdrop": (0.1,), "embd_pdrop": (0.1,), "attention_dropout": (0.1,)},
           ATTENTION_LINEAR[:3] + ("dense", "fc1", "fc2")),
    Family("smollm3", DECODER, GROUPED, TIES | BIASES | {"no_rope_layer_interval": (2, 3), "mlp_bias": (True,)}, LLAMA_LINEAR,
           {"pad_token_id": 0}),
    Family("cohere", CAUSAL, GROUPED, TIES | BIASES | {"use_qk_norm": (True,)}, LLAMA_LINEAR, {"pad_token_id": 0}),
    Family("cohere2", CAUSAL, GROUPED, TIES | BIASES | WINDOW, LLAMA_LINEAR, {"pad_token_id": 0}),
    Family("glm", DECODER, OWN_HEADS, TIES | BIASES, ATTENTION_LINEAR + ("gate_up_proj", "down_proj"), {"pad_token_id": 0}),
    Family("glm4", DECODER, OWN_HEADS, TIES | BIASES, ATTENTION_LINEAR + ("gate_up_proj", "down_proj"), {"pad_token_id": 0}),
    Family("seed_oss", DECODER, OWN_HEADS, TIES | {"residual_dropout": (0.0,), "attention_dropout": (0.0,), "mlp_bias": (True,)},
           LLAMA_LINEAR, {"pad_token_id": 0}),
    Family("arcee", DECODER, GROUPED, TIES | BIASES | {"mlp_bias": (True,)}, ATTENTION_LINEAR + ("up_proj", "down_proj")),
    Family("nemotron", DECODER, GROUPED, TIES | BIASES, ATTENTION_LINEAR + ("up_proj", "down_proj")),
    Family("olmo3", DECODER, GROUPED, TIES | WINDOW | BIASES, LLAMA_LINEAR, {"pad_token_id": 0}),
    Family("opt", CAUSAL, {k: v for k, v in HF.items() if k != "ffn"} | {"ffn": "ffn_dim"},
           TIES | {"dropout": (0.0,), "do_layer_norm_before": (False,), "enable_bias": (False,)},
           ATTENTION_LINEAR[:3] + ("out_proj", "fc1", "fc2"), {"max_position_embeddings": 256, "pad_token_id": 1}),
    Family("deepseek_v2", ("causal-lm", "causal-lm", "sequence-classification", "feature-extraction"), LATENT,
           TIES | {"q_lora_rank": (None,), "first_k_dense_replace": (0, 1, 2), "attention_bias": (True,), "mlp_bias": (True,),
                   "topk_method": ("group_limited_greedy",), "attention_dropout": (0.1,)}, LATENT_LINEAR,
           {"n_routed_experts": 8, "num_experts_per_tok": 2, "n_group": 4, "topk_group": 2}),
    Family("deepseek_v3", ("causal-lm", "causal-lm", "sequence-classification", "token-classification", "feature-extraction"), LATENT,
           TIES | {"q_lora_rank": (None,), "first_k_dense_replace": (0, 1, 2), "attention_bias": (True,), "rope_interleave": (False,),
                   "norm_topk_prob": (False,), "attention_dropout": (0.1,)}, LATENT_LINEAR,
           {"n_routed_experts": 8, "num_experts_per_tok": 2, "n_group": 4, "topk_group": 2}),
    Family("bloom", DECODER, {"hidden": "hidden_size", "layers": "n_layer", "heads": "n_head", "vocab": "vocab_size"},
           TIES | {"apply_residual_connection_post_layernorm": (True,), "hidden_dropout": (0.1,), "attention_dropout": (0.1,)},
           ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")),
    Family("mpt", DECODER, {"hidden": "d_model", "layers": "n_layers", "heads": "n_heads", "vocab": "vocab_size"},
           TIES | {"attn_config": ({"clip_qkv": 6.0},), "classifier_dropout": (0.2,)}, ("Wqkv", "out_proj", "up_proj", "down_proj"),
           {"max_seq_len": 256}),
    Family("gpt_neo", DECODER, {"hidden": "hidden_size", "ffn": "intermediate_size", "heads": "num_heads", "vocab": "vocab_size"},
           TIES | {"resid_dropout": (0.1,), "embed_dropout": (0.1,), "attention_dropout": (0.1,), "activation_function": ACTIVATIONS},
           ("q_proj", "k_proj", "v_proj", "out_proj", "c_fc", "c_proj"),
           {"max_position_embeddings": 256, "num_layers": 3, "attention_types": [[["global", "local"], 1], [["global"], 1]]}),
    Family("gpt2", DECODER, GPT, TIES | {"resid_pdrop": (0.0,), "embd_pdrop": (0.0, 0.2), "attn_pdrop": (0.0, 0.2),
                                         "activation_function": ACTIVATIONS, "reorder_and_upcast_attn": (True,),
                                         "scale_attn_by_inverse_layer_idx": (True,)}, ("c_attn", "c_proj", "c_fc"),
           {"n_positions": 256}),
    Family("gpt_bigcode", DECODER, GPT, TIES | {"multi_query": (False,), "attn_pdrop": (0.0,), "resid_pdrop": (0.0,),
                                                "embd_pdrop": (0.0,), "activation_function": ACTIVATIONS},
           ("c_attn", "c_proj", "c_fc"), {"n_positions": 256}),
    Family("bert", ENCODER + ("pre-training",), HF, BERT_OPTIONS, BERT_LINEAR, {"max_position_embeddings": 256}),
    Family("roberta", ENCODER, HF, BERT_OPTIONS, BERT_LINEAR, {"max_position_embeddings": 258}),
    Family("xlm-roberta", ENCODER, HF, BERT_OPTIONS, BERT_LINEAR, {"max_position_embeddings": 258}),
    Family("electra", ENCODER + ("pre-training",), HF | {"embedding": "embedding_size"}, BERT_OPTIONS, BERT_LINEAR,
           {"max_position_embeddings": 256}),
    Family("distilbert", ENCODER, DISTILBERT, TIES | {"dropout": (0.0,), "attention_dropout": (0.0,), "activation": ("relu",),
                                                      "seq_classif_dropout": (0.0,), "qa_dropout": (0.0,)},
           ("q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"), {"max_position_embeddings": 256}),
    Family("modernbert", ENCODER, HF, TIES | {"norm_bias": (True,), "attention_bias": (True,), "mlp_bias": (True,), "mlp_dropout": (0.1,),
                                              "attention_dropout": (0.1,), "local_attention": (16, 64), "decoder_bias": (False,),
                                              "classifier_dropout": (0.1,), "hidden_activation": ACTIVATIONS},
           ("Wqkv", "Wi", "Wo"), {"pad_token_id": 0}),
    Family("deberta-v2", ENCODER, HF, TIES | {"type_vocab_size": (2,), "position_biased_input": (False,), "hidden_act": ACTIVATIONS,
                                              "share_att_key": (True,), "pos_att_type": ("c2p", "p2c"), "norm_rel_ebd": ("layer_norm",),
                                              "hidden_dropout_prob": (0.0,), "attention_probs_dropout_prob": (0.0,)},
           ("query_proj", "key_proj", "value_proj", "dense"),
           {"max_position_embeddings": 256, "relative_attention": True, "position_buckets": 16, "pos_att_type": "c2p|p2c",
            "problem_type": "single_label_classification"}),
    Family("albert", ENCODER, HF | {"embedding": "embedding_size"}, TIES | {"hidden_act": ACTIVATIONS, "hidden_dropout_prob": (0.1,),
                                                                            "attention_probs_dropout_prob": (0.1,)},
           BERT_LINEAR, {"max_position_embeddings": 256}),
    Family("mpnet", ENCODER, HF, TIES | {"hidden_act": ACTIVATIONS, "hidden_dropout_prob": (0.0, 0.2)}, ("q", "k", "v", "o"),
           {"max_position_embeddings": 258}),
    Family("esm", ("masked-lm", "masked-lm", "sequence-classification", "token-classification", "feature-extraction"), HF,
           TIES | {"position_embedding_type": ("rotary",), "token_dropout": (True,), "emb_layer_norm_before": (True,),
                   "hidden_dropout_prob": (0.0,)}, BERT_LINEAR,
           {"max_position_embeddings": 258, "pad_token_id": 1, "mask_token_id": 2}),
    Family("vit", ("image-classification",), {k: v for k, v in HF.items() if k != "vocab"},
           {"hidden_dropout_prob": (0.1,), "attention_probs_dropout_prob": (0.1,), "hidden_act": ACTIVATIONS,
            "qkv_bias": (False,)}, BERT_LINEAR, {"image_size": 48, "patch_size": 16}),
    Family("deit", ("image-classification",), SEEN, IMAGE_OPTIONS | {"qkv_bias": (False,)}, IMAGE_LINEAR,
           {"image_size": 48, "patch_size": 16, "architectures": ["DeiTForImageClassification"]}),
    Family("beit", ("image-classification",), SEEN,
           IMAGE_OPTIONS | {"use_absolute_position_embeddings": (True,), "use_mask_token": (True,), "layer_scale_init_value": (0.0,),
                            "use_mean_pooling": (False,), "drop_path_rate": (0.0,), "use_shared_relative_position_bias": (True,)},
           IMAGE_LINEAR, {"image_size": 48, "patch_size": 16, "use_relative_position_bias": True}),
    Family("convnext", ("image-classification",), {}, {"drop_path_rate": (0.1,), "layer_scale_init_value": (0.0,), "hidden_act": ACTIVATIONS,
                                                       "depths": ([1, 3], [2, 1]), "hidden_sizes": ([24, 17], [8, 40])},
           ("pwconv1", "pwconv2"), {"image_size": 48, "patch_size": 4, "num_stages": 2, "hidden_sizes": [12, 20], "depths": [2, 2]}),
    Family("dinov2", ("image-classification",), {k: v for k, v in SEEN.items() if k != "ffn"},
           IMAGE_OPTIONS | {"mlp_ratio": (2, 3), "use_swiglu_ffn": (True,), "qkv_bias": (False,)}, IMAGE_LINEAR,
           {"image_size": 42, "patch_size": 14}),
    Family("falcon", DECODER[:5], {"hidden": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads",
                                   "vocab": "vocab_size", "groups": "num_kv_heads"},
           TIES | {"new_decoder_architecture": (True,), "multi_query": (False,), "parallel_attn": (False,), "bias": (True,),
                   "alibi": (True,), "hidden_dropout": (0.1,), "attention_dropout": (0.1,)},
           ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")),
    Family("gptj", ("causal-lm",), GPT, TIES | {"resid_pdrop": (0.1,), "embd_pdrop": (0.1,), "attn_pdrop": (0.1,)},
           ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"), {"rotary_dim": 2, "n_positions": 256}),
    Family("codegen", ("causal-lm",), GPT, TIES | {"resid_pdrop": (0.1,), "embd_pdrop": (0.1,), "attn_pdrop": (0.1,)},
           ("qkv_proj", "out_proj", "fc_in", "fc_out"), {"rotary_dim": 2, "n_positions": 256, "n_ctx": 256, "n_head": 4, "n_embd": 32}),
    Family("gpt_oss", ("causal-lm",), OWN_HEADS | EXPERTS, TIES | WINDOW, ATTENTION_LINEAR),
    Family("exaone4", DECODER[:4], OWN_HEADS, TIES | WINDOW | {"attention_dropout": (0.1,)}, LLAMA_LINEAR, {"pad_token_id": 0}),
    Family("ernie4_5", ("causal-lm",), OWN_HEADS, TIES | {"use_bias": (True,)}, LLAMA_LINEAR, {"pad_token_id": 0}),
    Family("hunyuan_v1_dense", DECODER[:4], OWN_HEADS, TIES | BIASES, LLAMA_LINEAR, {"pad_token_id": 0}),
    Family("olmoe", ("causal-lm",), GROUPED | EXPERTS | {"experts": "num_experts"},
           TIES | BIASES | {"clip_qkv": (8.0,), "norm_topk_prob": (True,)}, ATTENTION_LINEAR, {"pad_token_id": 0}),
    Family("granitemoe", ("causal-lm",), GROUPED | EXPERTS, TIES | BIASES | {"residual_multiplier": (0.22,), "logits_scaling": (8.0,)},
           ATTENTION_LINEAR, {"pad_token_id": 0}),
    Family("llama4_text", ("causal-lm",), OWN_HEADS | EXPERTS | {"dense": "intermediate_size_mlp"},
           TIES | {"use_qk_norm": (False,), "attention_chunk_size": (16, 64), "interleave_moe_layer_step": (2,), "attn_temperature_tuning": (False,),
                   "no_rope_layer_interval": (2,)}, ATTENTION_LINEAR, {"pad_token_id": 0}),
    *(Family(name, ("seq2seq-lm",), BART, BART_OPTIONS, BART_LINEAR, {"max_position_embeddings": 256, "pad_token_id": 0} | more)
      for name, more in (("bart", {}), ("mbart", {}), ("pegasus", {}), ("marian", {"decoder_start_token_id": 0}), ("blenderbot", {}))),
    Family("whisper", ("seq2seq-lm",), BART, {k: v for k, v in BART_OPTIONS.items() if k != "scale_embedding"}, BART_LINEAR,
           {"max_source_positions": 30, "max_target_positions": 256, "num_mel_bins": 16, "pad_token_id": 0, "decoder_start_token_id": 0,
            "bos_token_id": 0, "eos_token_id": 0}),
    Family("t5", ("seq2seq-lm",), T5 | {"decoder": "num_decoder_layers"},
           TIES | {"dropout_rate": (0.0,), "feed_forward_proj": ("gated-gelu",)}, ("q", "k", "v", "o", "wi", "wo"),
           {"decoder_start_token_id": 0}),
    Family("mt5", ("seq2seq-lm",), T5 | {"decoder": "num_decoder_layers"},
           TIES | {"dropout_rate": (0.0,), "feed_forward_proj": ("gated-gelu", "relu")}, ("q", "k", "v", "o", "wi_0", "wi_1", "wo"),
           {"decoder_start_token_id": 0}),
    Family("umt5", ("seq2seq-lm",), T5 | {"decoder": "num_decoder_layers"},
           {"dropout_rate": (0.0,), "feed_forward_proj": ("gated-gelu", "relu")}, ("q", "k", "v", "o", "wi_0", "wi_1", "wo"),
           {"decoder_start_token_id": 0}),
)
