"""The page: its components, their layout and their events."""

import json
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from fewpass.decoders.recipes import RECIPES
from fewpass.demo.comparison import Models
from fewpass.demo.handlers import WAITING, Handlers, Parts
from fewpass.demo.html import board, describe, examples_of, status
from fewpass.demo.view import View
from fewpass.engine.request import default_decoder
from fewpass.pipeline import Pipeline

MARK = Path(__file__).with_name("mark.svg")  # tokens in the colours of the passes that committed them
CLAIM = "Two decoders draw one prompt. <b>ar</b> draws one token per forward pass, the other drafts several."
HEADER = f"{MARK.read_text()}<h1>fewpass</h1><p>{CLAIM}</p>"
MACHINE = "machine"  # events with this id run one at a time
QUEUE = 20  # comparisons that may wait
# The update of `Handlers.begin`, made by the browser: the server's first answer may take seconds.
AT_ONCE = f"""() => [{json.dumps(status(WAITING))},
  {{__type__: "update", interactive: false}}, {{__type__: "update", interactive: true}}]"""


def build(models: Models) -> gr.Blocks:
    """Build the page, and load the first model."""
    pipe = models[models.names[0]]
    with gr.Blocks(title="fewpass", analytics_enabled=False, fill_width=True) as page:
        parts = lay_out(pipe, models.names)
        on = Handlers(parts, models)
        buttons = [parts.run, parts.stop]
        alone = {"concurrency_id": MACHINE, "concurrency_limit": 1}
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        asked = [parts.run.click, parts.prompt.submit, parts.seed.submit]
        gr.on(asked, None, outputs=[parts.message, *buttons], js=AT_ONCE, **quiet)
        page.load(on.arrive, queue=False, **quiet)
        gr.on(
            asked,
            on.begin,
            outputs=[parts.message, *buttons],
            queue=False,
            **quiet,
        ).then(on.draw, parts.settings, [parts.board, parts.message], **alone, **quiet).then(
            on.end, outputs=buttons, queue=False, **quiet
        )
        parts.stop.click(on.halt, queue=False, **quiet)
        parts.examples.click(lambda sample: sample[0], parts.examples, parts.prompt, queue=False, **quiet)
        parts.model.input(
            on.choose_model,
            parts.model,
            [parts.message, parts.guidance, parts.examples, parts.board],
            **alone,
            **quiet,
        )
        parts.decoder.input(on.choose_decoder, parts.decoder, [parts.window, parts.about], queue=False, **quiet)
        page.unload(on.leave)
    return page.queue(max_size=QUEUE)


def lay_out(pipe: Pipeline, models: Sequence[str]) -> Parts:
    """Lay out the components inside an open `gr.Blocks`; `pipe` is the first of `models`."""
    samples = examples_of(models[0])
    other = default_decoder(pipe.model).recipe
    window, description = describe(other)
    gr.HTML(HEADER, elem_id="fp-header")
    with gr.Row(elem_id="fp-page"):
        with gr.Column(elem_id="fp-ask"):
            prompt = gr.Textbox(samples[0], label="Prompt", lines=1, max_lines=4, max_length=2000, elem_id="fp-prompt")
            examples = gr.Dataset(
                components=[prompt], samples=[[text] for text in samples], show_label=False, elem_id="fp-examples"
            )
            with gr.Row(elem_id="fp-buttons"):
                run = gr.Button("Compare", variant="primary", elem_id="fp-run")
                stop = gr.Button("Stop", interactive=False, elem_id="fp-stop")
            message = gr.HTML(elem_id="fp-message")
        with gr.Column(elem_id="fp-settings"):
            model = gr.Dropdown(list(models), value=models[0], label="Model", elem_id="fp-model")
            decoder = gr.Dropdown(
                [name for name in RECIPES if name != "ar"],
                value=other,
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
            about = gr.HTML(description, elem_id="fp-about")
        with gr.Column(elem_id="fp-race"):
            panels = gr.HTML(board(View.pair(pipe, other)), elem_id="fp-board")
    return Parts(prompt, examples, run, stop, message, model, decoder, about, window_, guidance, seed, panels)
