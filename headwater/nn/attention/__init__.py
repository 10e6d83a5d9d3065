"""Attention: one rule, several kernels, and the layers built on them."""

from headwater.nn.attention.additive import AdditiveAttention
from headwater.nn.attention.bias import PositionBias
from headwater.nn.attention.cache import KeyValueCache
from headwater.nn.attention.inputs import Attended, AttentionInputs
from headwater.nn.attention.kernels import KERNELS, Kernel, attention
from headwater.nn.attention.linear import linear_attention, linear_attention_with_weights
from headwater.nn.attention.mask import AttentionMask
from headwater.nn.attention.multi_head import Attend, LinearAttend, MultiHeadAttention
from headwater.nn.attention.reference import attention_with_weights

__all__ = [
    "KERNELS",
    "AdditiveAttention",
    "Attend",
    "Attended",
    "AttentionInputs",
    "AttentionMask",
    "Kernel",
    "KeyValueCache",
    "LinearAttend",
    "MultiHeadAttention",
    "PositionBias",
    "attention",
    "attention_with_weights",
    "linear_attention",
    "linear_attention_with_weights",
]
