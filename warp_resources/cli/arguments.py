"""Lets the global flags stand after the command too: ``run --config F`` as well as ``--config F run``."""

from __future__ import annotations

from collections.abc import Sequence

_WITH_VALUE, _SWITCHES = "--config", ("--debug",)
_END_OF_FLAGS = "--"


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the flags that mean the same everywhere moved to the front."""
    front: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == _END_OF_FLAGS:
            rest += [argument, *left]
            break
        if argument == _WITH_VALUE and left:
            front += [argument, left.pop(0)]
        elif argument in _SWITCHES or argument.startswith(f"{_WITH_VALUE}="):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest
