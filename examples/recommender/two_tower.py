"""A two-tower recommender: a user vector and item vectors of one length; the score of an item is their product.

The user tower reads who the user is and what was looked at last; the item tower is applied to the whole catalogue
once, when the weights are loaded. Sizes are those of the tensors in the file.
"""

import io
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

SEED = 20261127


class WeightsError(Exception):
    """The file holds no weights of this model; the message is one line with the file."""


class TwoTower(nn.Module):
    """`users` and `items` known, vectors of `dimension` numbers."""

    def __init__(self, users: int, items: int, dimension: int) -> None:
        super().__init__()
        self.user_embedding = nn.Embedding(users, dimension)
        self.item_embedding = nn.Embedding(items, dimension)
        self.user_tower = nn.Sequential(
            nn.Linear(2 * dimension, 2 * dimension), nn.ReLU(), nn.Linear(2 * dimension, dimension)
        )
        self.item_tower = nn.Sequential(nn.Linear(dimension, dimension), nn.ReLU(), nn.Linear(dimension, dimension))

    @property
    def users(self) -> int:
        return self.user_embedding.num_embeddings

    @property
    def items(self) -> int:
        return self.item_embedding.num_embeddings

    def item_vectors(self) -> Tensor:
        """[items, dimension], each of length 1."""
        return functional.normalize(self.item_tower(self.item_embedding.weight), dim=1)

    def user_vectors(self, users: Tensor, seen: Tensor) -> Tensor:
        """[n, dimension] of `users` [n]; `seen` [n, h] are the items looked at last, h may be 0."""
        looked_at = self.item_embedding(seen)
        # the mean of nothing is nan: who has seen nothing counts as neutral
        history = looked_at.mean(dim=1) if seen.shape[1] else torch.zeros_like(self.user_embedding(users))
        return functional.normalize(self.user_tower(torch.cat([self.user_embedding(users), history], dim=1)), dim=1)


class Ranker:
    """A loaded model and its catalogue, ready to answer. One call at a time."""

    def __init__(self, model: TwoTower, device: str = "cpu") -> None:
        self._model = model.to(device).eval()
        self._device = device
        with torch.inference_mode():
            self._catalogue = self._model.item_vectors()

    @property
    def users(self) -> int:
        return self._model.users

    @property
    def items(self) -> int:
        return self._model.items

    @torch.inference_mode()
    def top(self, users: list[int], seen: list[list[int]], count: int) -> tuple[list[list[int]], list[list[float]]]:
        """The best `count` items of each user and their scores in -1..1, best first. `seen` has rows of one length."""
        who = torch.tensor(users, dtype=torch.long, device=self._device)
        history = torch.tensor(seen, dtype=torch.long, device=self._device).reshape(len(users), -1)
        scores = self._model.user_vectors(who, history) @ self._catalogue.T
        best = scores.topk(min(count, self.items), dim=1)
        return best.indices.tolist(), best.values.tolist()


def untrained(users: int, items: int, dimension: int, seed: int = SEED) -> TwoTower:
    """A model with numbers from `seed`: it costs as much as a trained one and recommends nothing sensible."""
    model = TwoTower(users, items, dimension)
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, tensor in sorted(model.state_dict().items()):
            tensor.copy_(torch.randn(tensor.shape, generator=numbers) / math.sqrt(tensor.shape[-1]))
    return model


def save(model: TwoTower, file: Path) -> None:
    """Tensors only, in torch's own format."""
    torch.save(model.state_dict(), file)


def load(data: bytes, name: str) -> TwoTower:
    """The model in the bytes of a file that `save` wrote; `name` is for the message.

    Nothing but tensors is ever unpickled. Raises WeightsError.
    """
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        users, dimension = state["user_embedding.weight"].shape
        model = TwoTower(users, state["item_embedding.weight"].shape[0], dimension)
        model.load_state_dict(state)
    except Exception as failed:  # noqa: BLE001
        # torch raises a dozen kinds for a file that is not its own
        said = f"not the weights of this model ({type(failed).__name__}); write some with make_weights.py"
        raise WeightsError(f"{name}: {said}") from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise WeightsError(f"{name}: it holds numbers that are not finite")
    return model
