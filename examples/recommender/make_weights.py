"""Write weights for the sample: `make_weights.py weights.pt [--users 20000] [--items 50000] [--dimension 64]`.

The same sizes and seed give the same numbers.
"""

import argparse
from pathlib import Path

from two_tower import SEED, save, untrained


def main() -> None:
    parser = argparse.ArgumentParser(description="Write weights of the two-tower model, from a seed.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    if min(given.users, given.items, given.dimension) < 1:
        parser.error("--users, --items and --dimension: give numbers from 1 on")
    save(untrained(given.users, given.items, given.dimension, given.seed), given.file)


if __name__ == "__main__":
    main()
