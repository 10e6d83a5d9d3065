"""What settings refuse, each with what was found, what was expected and what to do."""

from collections.abc import Sequence

from headwater.errors import SettingsError

# Far above anything that is trained, far below what would exhaust a machine: a settings file from elsewhere
# is refused before a single weight is allocated.
LARGEST = {
    "vocabulary_size": 1 << 22,
    "width": 1 << 16,
    "embedding_width": 1 << 16,
    "hidden_width": 1 << 18,
    "feed_forward_width": 1 << 18,
    "depth": 1024,
    "num_heads": 1024,
    "num_key_value_heads": 1024,
    "head_dim": 1 << 12,
    "max_length": 1 << 24,
    "relative_buckets": 1 << 16,
    "relative_distance": 1 << 24,
    "kernel": 1 << 10,
}


def check_counts(settings: object, names: Sequence[str]) -> None:
    """Refuse what is no whole number above 0, or beyond all reason; None is left alone."""
    for name in names:
        value = getattr(settings, name)
        if value is None:
            continue
        if type(value) is not int or value < 1:
            raise SettingsError(f"{name}={value!r}; expected a whole number above 0")
        if value > LARGEST.get(name, value):
            raise SettingsError(
                f"{name}={value} is beyond what this program will allocate; the most is {LARGEST[name]}"
            )


def check_choice(settings: object, name: str, choices: Sequence[str]) -> None:
    """Refuse a name that is none of the choices."""
    value = getattr(settings, name)
    if value not in choices:
        raise SettingsError(f"{name}={value!r} does not exist; choose one of {', '.join(choices)}")


def check_shares(settings: object, names: Sequence[str]) -> None:
    """Refuse what is no probability below 1."""
    for name in names:
        value = getattr(settings, name)
        if not 0.0 <= value < 1.0:  # also refuses nan
            raise SettingsError(f"{name}={value!r} is not a probability below 1; choose 0 … 0.99")


def check_positive(settings: object, names: Sequence[str]) -> None:
    """Refuse what is not a number above 0; None is left alone."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0.0 < value < float("inf"):
            raise SettingsError(f"{name}={value!r}; expected a number above 0")
