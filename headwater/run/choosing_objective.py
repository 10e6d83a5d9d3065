"""Which pretext task a pre-training run trains on, with what the settings say of it."""

from collections.abc import Callable, Mapping

from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.objectives import MaskedTokens, NextToken, Objective
from headwater.run.settings import ObjectiveSettings
from headwater.settings import unknown_choice

PRETEXT_OBJECTIVES: Mapping[str, Callable[[Tokenizer, ObjectiveSettings], Objective]] = {
    "masked_tokens": lambda tokenizer, its: MaskedTokens(tokenizer, share=its.share, kept=its.kept),
    "next_token": lambda tokenizer, _: NextToken(tokenizer),
}


def pretext_objective(settings: ObjectiveSettings, tokenizer: Tokenizer) -> Objective:
    """The objective that the settings name."""
    if settings.name not in PRETEXT_OBJECTIVES:
        raise SettingsError(unknown_choice("objective.name", settings.name, list(PRETEXT_OBJECTIVES)))
    return PRETEXT_OBJECTIVES[settings.name](tokenizer, settings)
