"""The models that are recorded. Every file beside this one adds its own by `@model`."""

import importlib
import pkgutil

from .case import MODELS

for _found in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_found}")

__all__ = ["MODELS"]
