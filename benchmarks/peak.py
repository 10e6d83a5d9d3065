"""The most that this machine multiplies: a contestant that does nothing but one large matrix product."""

import torch

from benchmarks.harness import Stage
from headwater.training import precision

SIDE = 2048
PRODUCTS = 12


def main() -> None:
    """Floating-point operations of fp32 products, a segment a turn, on the threads of the environment."""
    stage = Stage()
    precision.use_threads(precision.count_free_cores())
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    out = torch.empty(SIDE, SIDE)

    def multiply() -> float:
        for _ in range(PRODUCTS):
            torch.mm(left, right, out=out)
        return PRODUCTS * 2.0 * SIDE**3

    multiply()
    stage.say()
    while stage.turn(multiply):
        pass
    stage.say()


if __name__ == "__main__":
    main()
