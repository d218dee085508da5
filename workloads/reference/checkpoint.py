"""The model as Hugging Face files: tensor names, safetensors read and written by hand, config.json."""

import dataclasses
import json
import os
import struct

import numpy
import torch

DTYPES = {"F32": numpy.float32, "BF16": numpy.uint16}


def write_whole(path, data):
    """A file appears by rename, complete or not at all."""
    beside = f"{path}.part"
    with open(beside, "wb") as file:
        file.write(data)
    os.replace(beside, path)


def bf16_bits(tensor):
    """float32 -> the upper 16 bits, rounded to nearest, ties to even."""
    return tensor.to(torch.bfloat16).view(torch.int16).numpy().view(numpy.uint16)


def write_safetensors(path, tensors, dtype):
    """tensors: name -> float32 tensor. Header padded with spaces to a multiple of 8 bytes."""
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        value = tensors[name].detach().contiguous().float()
        blob = (bf16_bits(value) if dtype == "BF16" else value.numpy()).tobytes()
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_whole(path, struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path):
    """name -> float32 tensor, from F32 or BF16 storage."""
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        first, end = (8 + size + offset for offset in entry["data_offsets"])
        array = numpy.frombuffer(data[first:end], dtype=DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            array = (array.astype(numpy.uint32) << 16).view(numpy.float32)
        tensors[name] = torch.tensor(array.reshape(entry["shape"]))
    return tensors


def hub_tensors(model):
    """Hugging Face name -> view into the model's own parameter: one map for reading and writing."""
    width = model.config.moe_intermediate_size
    names = {"model.embed_tokens.weight": model.embed_tokens, "model.norm.weight": model.norm.weight,
             "lm_head.weight": model.lm_head}
    for number, layer in enumerate(model.layers):
        prefix, attention, moe = f"model.layers.{number}.", layer.attention, layer.moe
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            names[f"{prefix}self_attn.{part}.weight"] = getattr(attention, part)
        names[f"{prefix}self_attn.q_norm.weight"] = attention.q_norm.weight
        names[f"{prefix}self_attn.k_norm.weight"] = attention.k_norm.weight
        names[f"{prefix}input_layernorm.weight"] = layer.input_layernorm.weight
        names[f"{prefix}post_attention_layernorm.weight"] = layer.post_attention_layernorm.weight
        names[f"{prefix}mlp.gate.weight"] = moe.router
        for expert in range(model.config.num_experts):
            own = f"{prefix}mlp.experts.{expert}."
            names[own + "gate_proj.weight"] = moe.gate_up[expert, :width]
            names[own + "up_proj.weight"] = moe.gate_up[expert, width:]
            names[own + "down_proj.weight"] = moe.down[expert]
    return names


def load_weights(model, path):
    stored, own = read_safetensors(path), hub_tensors(model)
    if set(stored) != set(own):
        raise ValueError(f"{path}: tensor names differ: {sorted(set(stored) ^ set(own))[:4]}")
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != stored[name].shape:
                raise ValueError(f"{path}: {name} is {list(stored[name].shape)}, not {list(tensor.shape)}")
            tensor.copy_(stored[name])


def hub_config(config):
    """config.json: the model's own numbers and the fixed keys of the architecture."""
    fixed = {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "torch_dtype": "bfloat16",
             "intermediate_size": config.moe_intermediate_size, "hidden_act": "silu",
             "attention_bias": False, "attention_dropout": 0.0, "decoder_sparse_step": 1,
             "mlp_only_layers": [], "router_aux_loss_coef": 0.01, "output_router_logits": False,
             "use_cache": True}
    return {**fixed, **dataclasses.asdict(config)}


def save_model(model, folder):
    os.makedirs(folder, exist_ok=True)
    write_safetensors(os.path.join(folder, "model.safetensors"), hub_tensors(model), "BF16")
    text = json.dumps(hub_config(model.config), indent=1) + "\n"
    write_whole(os.path.join(folder, "config.json"), text.encode())
