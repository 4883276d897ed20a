"""Figures are readable, however few decoders there are."""

import pytest

pytest.importorskip("matplotlib")

from fewpass.viz.style import labels, look, panels


@pytest.mark.parametrize("number", [1, 2, 7])
def test_axis_labels_fit_into_the_figure(number):
    with look():
        drawn, axes = panels(number, 5, 1.85, 1.5, sharex=True, sharey=True)
        words = (
            drawn.supylabel("tokens that cost no pass of their own, %", fontsize=9.5),
            drawn.supxlabel("entropy of the model's law at the token, bits", fontsize=9.5),
        )
        drawn.draw_without_rendering()
    assert len(axes) == number
    for text in words:
        box = text.get_window_extent()
        assert drawn.bbox.containsx(box.x0)
        assert drawn.bbox.containsx(box.x1)
        assert drawn.bbox.containsy(box.y0)
        assert drawn.bbox.containsy(box.y1)


def test_labels_show_the_options_in_which_decoders_differ():
    spellings = ["ar", "zipar(window=4, adaptive=False)", "zipar(window=4, adaptive=True)", "mc_sjd(window=32)"]
    assert labels(spellings) == ["ar", "zipar\nadaptive=False", "zipar\nadaptive=True", "mc_sjd"]
