"""Answers that are asked for again at every refresh, although nothing that they depend on has changed."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """The last `most` answers by key; the one that was not asked for longest gives way.

    What is long is keyed by identity, as hashing thousands of numbers costs as much as computing: such objects are
    passed as `kept` and live as long as the answer, so that no other can take over their identity.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[Hashable, tuple[object, T]] = OrderedDict()

    def of(self, key: Hashable, kept: object, make: Callable[[], T]) -> T:
        """The answer to `key`, made now if it is not remembered."""
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key][1]
        answer = make()
        self._answers[key] = (kept, answer)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return answer
