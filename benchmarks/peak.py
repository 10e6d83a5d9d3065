"""The most that this machine multiplies: a contestant that does nothing but one large matrix product."""

import torch

from benchmarks.harness import Stage
from headwater.training import precision

SIDE = 2048
PRODUCTS = 12


def main() -> None:
    """Floating-point operations of products, bf16 where the processor has it, on the threads of the environment."""
    stage = Stage()
    precision.use_threads(precision.count_free_cores())
    kind = torch.bfloat16 if precision.has_bf16("cpu") else torch.float32
    left, right = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    out = torch.empty(SIDE, SIDE, dtype=kind)

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
