"""The components of the page, and where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from fewpass.decoders.recipes import RECIPES
from fewpass.demo.board import board
from fewpass.demo.mark import HEADER
from fewpass.demo.panel import View
from fewpass.demo.words import examples_of, told_of
from fewpass.engine.request import default_decoder
from fewpass.pipeline import Pipeline


@dataclass(frozen=True)
class Parts:
    """What handlers read and write."""

    prompt: gr.Textbox
    examples: gr.Dataset
    run: gr.Button
    stop: gr.Button
    message: gr.HTML
    model: gr.Dropdown
    decoder: gr.Dropdown
    about: gr.HTML
    window: gr.Number
    guidance: gr.Number
    seed: gr.Textbox
    board: gr.HTML

    @property
    def settings(self) -> set[gr.components.Component]:
        return {self.prompt, self.model, self.decoder, self.window, self.guidance, self.seed}


def lay_out(pipe: Pipeline, models: Sequence[str]) -> Parts:
    """The components, within the Blocks that are being built, with `pipe`, the first of `models`, chosen."""
    samples = examples_of(models[0])
    rival = default_decoder(pipe.model).recipe
    window, told = told_of(rival)
    gr.HTML(HEADER, elem_id="fp-header")
    with gr.Row(elem_id="fp-page"):
        with gr.Column(elem_id="fp-ask"):
            prompt = gr.Textbox(samples[0], label="Prompt", lines=1, max_lines=4, max_length=2000, elem_id="fp-prompt")
            examples = gr.Dataset(
                components=[prompt], samples=[[text] for text in samples], show_label=False, elem_id="fp-examples"
            )
            with gr.Row(elem_id="fp-buttons"):
                run = gr.Button("Race", variant="primary", elem_id="fp-run")
                stop = gr.Button("Stop", interactive=False, elem_id="fp-stop")
            message = gr.HTML(elem_id="fp-message")
        with gr.Column(elem_id="fp-settings"):
            model = gr.Dropdown(list(models), value=models[0], label="Model", elem_id="fp-model")
            decoder = gr.Dropdown(
                [name for name in RECIPES if name != "ar"],
                value=rival,
                label="Decoder against ar",
                allow_custom_value=True,
                elem_id="fp-decoder",
            )
            with gr.Row(elem_id="fp-numbers"):
                window_ = gr.Number(window, label="Window", min_width=80, elem_id="fp-window")
                guidance = gr.Number(
                    pipe.model.guidance, label="Guidance", step=0.5, min_width=80, elem_id="fp-guidance"
                )
                seed = gr.Textbox("7", label="Seed", placeholder="any", max_lines=1, min_width=80, elem_id="fp-seed")
            about = gr.HTML(told, elem_id="fp-about")
        with gr.Column(elem_id="fp-race"):
            race = gr.HTML(board(View.pair(pipe, rival)), elem_id="fp-board")
    return Parts(prompt, examples, run, stop, message, model, decoder, about, window_, guidance, seed, race)
