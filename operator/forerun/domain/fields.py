"""Targets without a scale subresource: which field of theirs is the floor, and what else is to be read of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FloorField:
    """The floor of a target as fields of it.

    `minimum` and `maximum` are JSON pointers (RFC 6901). A segment `[key=value]` is the element of a list with that
    value, `[key]` its only one. The value is a whole number, or a decimal string as annotations have it.
    """

    minimum: str
    maximum: str | None = None
    is_count: bool = False  # the number of replicas itself: nobody scales above it
    absent: int = 0  # what an absent minimum amounts to
    created: str | None = None  # the topmost parent that was not there before our raise

    @property
    def pointers(self) -> tuple[str, ...]:
        return (self.minimum,) if self.maximum is None else (self.minimum, self.maximum)


@dataclass(frozen=True, slots=True)
class Unlike:
    """A target changes where the value at `pointer` is not that at `other`, else not `value`.

    An absent value says nothing. With neither `other` nor `value`, it changes where anything stands there at all.
    """

    pointer: str
    other: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A floor would not work while something stands at `pointer`; `*` is any element of a list."""

    pointer: str
    remedy: str
    value: str | None = None  # None: whatever stands there


@dataclass(frozen=True, slots=True)
class FieldTarget:
    """All that is to be known of one kind. `{name}` in a label stands for the target's name."""

    floor: FloorField
    ready: str | None = None  # pointer; else Ready pods with `pod_labels` are counted
    pod_labels: tuple[tuple[str, str], ...] = ()
    changing: tuple[Unlike, ...] = ()  # any of them: the target moves pods or data of its own
    obstacles: tuple[Obstacle, ...] = ()
    is_stateful: bool = False  # data is lost or moved where it shrinks: not given back unless asked
    is_declared: bool = False  # by the Storefront; else by the table of presets
