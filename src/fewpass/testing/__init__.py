"""Shipped checks: does a decoder draw from the distribution of the model, does a model meet the decoders' contract?"""

from fewpass.testing.toy import Draw, JointLaw, LawFigure, Toy, check_decoder, coming_and_going, drawn

__all__ = ["Draw", "JointLaw", "LawFigure", "Toy", "check_decoder", "coming_and_going", "drawn"]
