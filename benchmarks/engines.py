"""What CTranslate2's converters must be told of our model folders."""

from typing import Any


class OurWords:
    """A vocabulary without languages, in which no token stands for what is unknown."""

    def get_vocabulary(self, model: Any, tokenizer: Any) -> list[str]:
        """The tokens in the order of their numbers."""
        del model
        return [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]

    def set_config(self, config: Any, model: Any, tokenizer: Any) -> None:
        """What begins and ends a text."""
        config.bos_token = tokenizer.convert_ids_to_tokens(model.config.bos_token_id)
        config.eos_token = tokenizer.convert_ids_to_tokens(model.config.eos_token_id)
        config.unk_token = tokenizer.convert_ids_to_tokens(model.config.pad_token_id)
