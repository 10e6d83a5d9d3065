"""How a layer learns where a token stands."""

from headwater.nn.positions.learned import LearnedPositions, stretched
from headwater.nn.positions.relative import LinearBias, RelativeBuckets, check_buckets
from headwater.nn.positions.rotary import Rotary
from headwater.nn.positions.sinusoidal import SinusoidalPositions, grid_sinusoids, sinusoids

__all__ = [
    "LearnedPositions",
    "LinearBias",
    "RelativeBuckets",
    "Rotary",
    "SinusoidalPositions",
    "check_buckets",
    "grid_sinusoids",
    "sinusoids",
    "stretched",
]
