"""What was typed becomes values, without asking pydantic about what needs no asking.

Typer has pydantic convert every value, the usual ones and the missing ones too: to load it took two thirds of the time
of ``headwater VERB --help`` and of each press of Tab. The usual values stand in the verbs as what they are to be, and a
line that is still being typed is only read for what may follow.
"""

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Verb(TyperCommand):
    """A verb that converts only what is given to it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The usual way, with parameters that keep their usual values."""
        _keep_usual_values(self.get_params(ctx))
        return super().parse_args(ctx, args)


class Verbs(TyperGroup):
    """The program, which converts only those of its own options that are given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The usual way, with parameters that keep their usual values."""
        _keep_usual_values(self.get_params(ctx))
        return super().parse_args(ctx, args)


def _keep_usual_values(parameters: list[Any]) -> None:
    for parameter in parameters:
        parameter.process_value = _keeping(parameter, parameter.process_value)


def _keeping(parameter: Any, convert: Any) -> Any:
    def process(ctx: Any, value: Any) -> Any:
        usual = value is parameter.default and not parameter.required
        return value if usual or ctx.resilient_parsing else convert(ctx, value)

    return process
