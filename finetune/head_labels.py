"""How the labels of a trained head and those of a task meet; one rule for all tasks. Imports no TensorFlow."""

import re
from collections.abc import Sequence

_UNNAMED_LABEL = re.compile(r"LABEL_\d+")  # transformers' names of classes that were given none


def are_unnamed(labels: Sequence[str]) -> bool:
    """Returns whether labels are the names that transformers gives to classes without a name."""
    return bool(labels) and all(map(_UNNAMED_LABEL.fullmatch, labels))


def matched_labels(
    trained: Sequence[str], labels: Sequence[str], *, has_fixed_order: bool = False
) -> tuple[str, ...] | None:
    """Returns the labels of a task in the order of a trained head's classes; None if they do not match.

    The head's order holds for equal labels. As many unnamed ones take the names of the task: whole numbers in the order
    of the numbers, as `LABEL_10` comes after `LABEL_2`, others in the task's order.

    Args:
        trained: labels of the head.
        labels: of the task, in its order.
        has_fixed_order: whether the task's predictions need its order, as those of GLUE.
    """
    if tuple(trained) == tuple(labels) or (sorted(trained) == sorted(labels) and not has_fixed_order):
        return tuple(trained)
    if len(trained) != len(labels) or not are_unnamed(trained):
        return None
    are_numbers = all(label.isascii() and label.isdigit() for label in labels)
    return tuple(sorted(labels, key=int)) if are_numbers and not has_fixed_order else tuple(labels)
