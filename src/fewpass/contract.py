"""The checks of `fewpass.testing.model_checks` under their older import path."""

from fewpass.testing.model_checks import CHECKS, Finding, check_model

__all__ = ["CHECKS", "Finding", "check_model"]
