"""Decisions as events: walks through a small world, written as text, and a model that walks for a return it is told.

Two cores of an AMD EPYC, about four minutes in all; asked for 18 it earns 18.4 and finds the large treasure in all of
100 walks, where behaviour cloning earns 3.5 and never finds it.

    python recipes/decision_sequences/grid_world.py log walks/ --walks 3000
    for kind in decider cloner; do
        headwater pretrain walks/$kind.txt --objective next_token --size nano --steps 600 --out runs/$kind \\
            --set data.keep_duplicates=true
    done
    python recipes/decision_sequences/grid_world.py play runs/decider runs/cloner

Most logged walks take the small treasure near by, few the large one far away. A model of the walks alone (behaviour
cloning) does what most did; a model that reads the return to go before every step does what it is asked for
(Chen et al. 2021, arXiv:2106.01345).
"""

import argparse
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

import headwater as hw
from headwater.run.generating import Decoding

MAP = (
    "....#....B",
    "....#.....",
    "....#.....",
    "....#..#..",
    ".......#..",
    "S......#..",
    "...#######",
    "...#......",
    ".s........",
    "..........",
)
"""S: where walks begin; s: the small treasure, 4; B: the large one, 20; #: walls. Every step costs one tenth."""
ACTIONS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
TREASURES = {"s": 4.0, "B": 20.0}
STEP = -0.1
SLIP = 0.1
"""How often a step goes somewhere else than it was meant to."""
LONGEST = 40


class Cell(NamedTuple):
    row: int
    column: int

    @property
    def content(self) -> str:
        inside = 0 <= self.row < len(MAP) and 0 <= self.column < len(MAP[0])
        return MAP[self.row][self.column] if inside else "#"

    @property
    def name(self) -> str:
        return f"s{self.row}{self.column}"

    def moved(self, action: str) -> "Cell":
        """Where a step leads; a wall keeps the walker where it is."""
        there = Cell(self.row + ACTIONS[action][0], self.column + ACTIONS[action][1])
        return self if there.content == "#" else there


START = next(Cell(r, c) for r, line in enumerate(MAP) for c, mark in enumerate(line) if mark == "S")
Policy = Callable[[Cell], str]


@dataclass
class Walk:
    """What was seen, done and earned."""

    cells: list[Cell] = field(default_factory=lambda: [START])
    actions: list[str] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return self.cells[-1].content in TREASURES or len(self.actions) >= LONGEST

    def step(self, action: str, rng: np.random.Generator) -> None:
        self.actions.append(action)
        slipped = rng.random() < SLIP
        there = self.cells[-1].moved(str(rng.choice(list(ACTIONS))) if slipped else action)
        self.cells.append(there)
        self.rewards.append(STEP + TREASURES.get(there.content, 0.0))

    def text(self, total: float | None) -> str:
        """The events so far: cell, action, cell, …; with a total, the return to go before every cell."""
        events: list[str] = []
        for number, cell in enumerate(self.cells):
            if total is not None:
                events.append(f"r{round(total - sum(self.rewards[:number]))}")
            events.append(cell.name)
            events += self.actions[number : number + 1]
        return " ".join(events)


def distances(goal: str) -> dict[Cell, int]:
    """Steps to a treasure from every cell, by breadth-first search."""
    ends = [Cell(r, c) for r, line in enumerate(MAP) for c, mark in enumerate(line) if mark == goal]
    found, waiting = dict.fromkeys(ends, 0), deque(ends)
    while waiting:
        cell = waiting.popleft()
        for action in ACTIONS:
            near = cell.moved(action)
            if near not in found:
                found[near] = found[cell] + 1
                waiting.append(near)
    return found


def seeker(goal: str, rng: np.random.Generator, *, errs: float) -> Policy:
    """Walks to a treasure by a shortest way, but for a share of steps at random."""
    steps = distances(goal)

    def decide(cell: Cell) -> str:
        if rng.random() < errs:
            return str(rng.choice(list(ACTIONS)))
        return min(rng.permutation(list(ACTIONS)), key=lambda action: steps[cell.moved(action)])

    return decide


def logged(count: int, rng: np.random.Generator) -> Iterator[Walk]:
    """Four of five walks to the small treasure, one of ten to the large one, one of ten anywhere."""
    policies = [seeker("s", rng, errs=0.2), seeker("B", rng, errs=0.2), seeker("s", rng, errs=1.0)]
    for _ in range(count):
        walk, policy = Walk(), policies[rng.choice(3, p=[0.8, 0.1, 0.1])]
        while not walk.over:
            walk.step(policy(walk.cells[-1]), rng)
        yield walk


def play(run: hw.Run, total: float | None, *, episodes: int, seed: int) -> np.ndarray:
    """The returns of walks that the model decides; it is asked for a total return, or only shown the cells."""
    rng, walks = np.random.default_rng(seed), [Walk() for _ in range(episodes)]
    decoding = Decoding(temperature=0.0, max_tokens=8)
    while going := [walk for walk in walks if not walk.over]:
        answers = run.generate([walk.text(total) for walk in going], decoding)
        for walk, answer in zip(going, answers, strict=True):
            words = answer["text"].split()
            known = words[:1] if words[:1] and words[0] in ACTIONS else [str(rng.choice(list(ACTIONS)))]
            walk.step(known[0], rng)
    return np.array([sum(walk.rewards) for walk in walks])


def write_log(folder: Path, count: int) -> str:
    walks = list(logged(count, np.random.default_rng(0)))
    folder.mkdir(parents=True, exist_ok=True)
    returns = [sum(walk.rewards) for walk in walks]
    texts = {
        "decider.txt": [walk.text(total) for walk, total in zip(walks, returns, strict=True)],
        "cloner.txt": [walk.text(None) for walk in walks],
    }
    for name, lines in texts.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return (
        f"{count:,} walks in {folder}: returns {np.mean(returns):.1f} on average, {max(returns):.1f} at best"
    )


def told(name: str, returns: np.ndarray) -> str:
    spread = 1.96 * returns.std() / len(returns) ** 0.5
    return f"{name}: return {returns.mean():.2f} ± {spread:.2f}, large treasure in {(returns > 10).mean():.0%} of walks"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    log = verbs.add_parser("log", help="write logged walks as text")
    log.add_argument("folder", type=Path)
    log.add_argument("--walks", type=int, default=3000)
    playing = verbs.add_parser("play", help="let two models walk")
    playing.add_argument("decider", type=Path)
    playing.add_argument("cloner", type=Path)
    playing.add_argument("--ask", type=float, nargs="+", default=[18.0, 3.0])
    playing.add_argument("--episodes", type=int, default=100)
    chosen = parser.parse_args(arguments)
    if chosen.verb == "log":
        print(write_log(chosen.folder, chosen.walks))
        return
    print(told("behaviour cloning", play(hw.open_run(chosen.cloner), None, episodes=chosen.episodes, seed=1)))
    for total in chosen.ask:
        returns = play(hw.open_run(chosen.decider), total, episodes=chosen.episodes, seed=1)
        print(told(f"asked for {total:g}", returns))


if __name__ == "__main__":
    main()
