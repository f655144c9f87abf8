"""Packages that can be called: `symbolic.evaluate(...)`, where `symbolic.evaluate` is also a package.

    answer_calls_with(__name__, "symbolic.evaluate.evaluation:evaluate")      # in the package's __init__.py

The function is imported when the package is first called. Python lets a module change its class for such a purpose
(https://docs.python.org/3/reference/datamodel.html#customizing-module-attribute-access).
"""

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


def answer_calls_with(package: str, place: str) -> None:
    """Let calls of the module `package` call the function at `place`, "module:function"."""
    module, _, name = place.partition(":")

    def function() -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found

    class CallableModule(ModuleType):
        def __call__(self, *args: Any, **options: Any) -> Any:
            return function()(*args, **options)

        @property
        def __signature__(self) -> inspect.Signature:
            return inspect.signature(function())

    sys.modules[package].__class__ = CallableModule
