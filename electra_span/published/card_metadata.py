"""What people say of a model that nothing else tells: languages, licences, what it was made from. No TensorFlow."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from electra_span.config import HparamError
from electra_span.files import without_controls

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class Origin(NamedTuple):
    """What the people who train say of a model; None for nothing. Its fields are hparams.

    Attributes:
        language: codes of the texts' language or languages, as "en".
        data_license: of the texts.
        model_license: of the model, as the hub calls it, "apache-2.0".
        base_model: the name on the hub of the model that training started from.
    """

    language: str | Sequence[str] | None = None
    data_license: str | None = None
    model_license: str | None = None
    base_model: str | None = None

    @property
    def languages(self) -> list[str]:
        """The codes."""
        return [self.language] if isinstance(self.language, str) else list(self.language or [])


def check_origin(origin: Origin) -> None:
    """Raises HparamError where a language is no code of one, or a text takes more than a line."""
    for language in origin.languages:
        if not _LANGUAGE.fullmatch(language):
            raise HparamError(f"language must be a code, such as en, or a list of codes. Received: {language!r}")
    for name in ("data_license", "model_license", "base_model"):
        value = getattr(origin, name)
        if value is not None and (not value.strip() or value != without_controls(value)):
            raise HparamError(f"{name} must be a text in one line. Received: {value!r}")
