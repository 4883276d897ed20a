"""The figure is readable, however few decoders there are."""

from fewpass.evaluation.frontier import labels


def test_labels_show_the_options_in_which_decoders_differ():
    spellings = ["ar", "zipar(window=4, adaptive=False)", "zipar(window=4, adaptive=True)", "mc_sjd(window=32)"]
    assert labels(spellings) == ["ar", "zipar adaptive=False", "zipar adaptive=True", "mc_sjd"]
