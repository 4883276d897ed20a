"""Shipped checks: does a decoder draw from the law of the model, does a model do what decoders rely on?"""

from fewpass.testing.toy import Draw, JointLaw, LawFigure, Toy, check_decoder, coming_and_going, drawn

__all__ = ["Draw", "JointLaw", "LawFigure", "Toy", "check_decoder", "coming_and_going", "drawn"]
