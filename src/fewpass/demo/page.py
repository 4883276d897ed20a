"""The page: its components, their layout, its events and their handlers."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from fewpass.core.errors import ModelError, OutOfMemory
from fewpass.decoders.recipes import RECIPES, ar
from fewpass.demo.comparison import Comparison, Models, compare
from fewpass.demo.html import alert, board, describe, examples_of, status, verdict
from fewpass.demo.view import View
from fewpass.engine.request import default_decoder
from fewpass.models.files import one_line
from fewpass.pipeline import Pipeline

MARK = Path(__file__).with_name("mark.svg")  # tokens in the colours of the passes that committed them
CLAIM = "Two decoders draw one prompt. <b>ar</b> draws one token per forward pass, the other drafts several."
HEADER = f"{MARK.read_text()}<h1>fewpass</h1><p>{CLAIM}</p>"
TAKING_TURNS = "They take turns on this machine; each clock counts its own passes only."
QUEUE = 20  # comparisons that may wait
ALONE = {"concurrency_id": "machine", "concurrency_limit": 1}  # events that run one at a time
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
# The answer to a click of Run, made by the browser: the server's first answer may take seconds.
AT_ONCE = f"""() => [{json.dumps(status("Waiting for the machine"))},
  {{__type__: "update", interactive: false}}, {{__type__: "update", interactive: true}}]"""
Update = dict[Any, Any]  # components and their new values


def build(models: Models) -> gr.Blocks:
    """Build the page, and load the first model."""
    with gr.Blocks(title="fewpass", analytics_enabled=False, fill_width=True) as blocks:
        Page(models).listen()
    return blocks.queue(max_size=QUEUE)


class Page:
    """The components of the page, laid out in an open `gr.Blocks`, and the handlers of their events.

    One comparison runs at a time; those of other tabs wait.
    """

    def __init__(self, models: Models):
        self.models = models
        pipe = models[models.names[0]]
        samples = examples_of(pipe.model)
        chosen = default_decoder(pipe.model)
        window, description = describe(str(chosen))
        gr.HTML(HEADER, elem_id="fp-header")
        with gr.Row(elem_id="fp-page"):
            with gr.Column(elem_id="fp-ask"):
                self.prompt = gr.Textbox(
                    samples[0], label="Prompt", lines=1, max_lines=4, max_length=2000, elem_id="fp-prompt"
                )
                self.examples = gr.Dataset(
                    components=[self.prompt], samples=_rows(samples), show_label=False, elem_id="fp-examples"
                )
                with gr.Row(elem_id="fp-buttons"):
                    self.run = gr.Button("Compare", variant="primary", elem_id="fp-run")
                    self.stop = gr.Button("Stop", interactive=False, elem_id="fp-stop")
                self.message = gr.HTML(elem_id="fp-message")
            with gr.Column(elem_id="fp-settings"):
                self.model = gr.Dropdown(models.names, value=models.names[0], label="Model", elem_id="fp-model")
                self.decoder = gr.Dropdown(
                    [name for name in RECIPES if name != "ar"],
                    value=chosen.recipe,
                    label="Decoder against ar",
                    allow_custom_value=True,
                    elem_id="fp-decoder",
                )
                with gr.Row(elem_id="fp-numbers"):
                    self.window = gr.Number(window, label="Window", min_width=80, elem_id="fp-window")
                    self.guidance = gr.Number(
                        pipe.model.guidance, label="Guidance", step=0.5, min_width=80, elem_id="fp-guidance"
                    )
                    self.seed = gr.Textbox(
                        "7", label="Seed", placeholder="any", max_lines=1, min_width=80, elem_id="fp-seed"
                    )
                self.about = gr.HTML(description, elem_id="fp-about")
            with gr.Column(elem_id="fp-drawings"):
                self.board = gr.HTML(_blank(pipe), elem_id="fp-board")

    def listen(self) -> None:
        """Bind the handlers to events. The end of a tab, as Stop, cancels its comparison after the current pass."""
        asked, buttons = [self.run.click, self.prompt.submit, self.seed.submit], [self.run, self.stop]
        settings = {self.prompt, self.model, self.decoder, self.window, self.guidance, self.seed}
        begun = gr.on(asked, None, outputs=[self.message, *buttons], js=AT_ONCE, **QUIET)
        drawn = begun.then(self.draw, settings, [self.board, self.message], **ALONE, **QUIET)
        drawn.then(self.end, outputs=buttons, queue=False, **QUIET)
        self.stop.click(self.halt, outputs=[self.message, *buttons], cancels=[drawn], queue=False, **QUIET)
        self.examples.click(lambda sample: sample[0], self.examples, self.prompt, queue=False, **QUIET)
        shown = [self.message, self.guidance, self.examples, self.board]
        self.model.input(self.choose_model, self.model, shown, **ALONE, **QUIET)
        self.decoder.input(self.choose_decoder, self.decoder, [self.window, self.about], queue=False, **QUIET)

    def draw(self, given: Update) -> Iterator[Update]:
        """Run the comparison, and yield updates of the page."""
        yield {self.message: status("Warming up")}
        try:
            settings = (self.prompt, self.decoder, self.window, self.guidance, self.seed)
            comparison = compare(self.models[given[self.model]], *(given[setting] for setting in settings))
            for _ in comparison.warm_up():
                yield {self.message: status("Warming up")}
            yield {self.message: ""}
            yield from self._views(comparison)
        except (ValueError, ModelError, OutOfMemory) as error:
            yield {self.message: alert(str(error))}
        except Exception as error:
            logging.exception("a comparison failed")
            yield {self.message: alert(f"this is a bug of fewpass: {one_line(error) or type(error).__name__}")}

    def end(self) -> Update:
        """The comparison has ended, in any way."""
        return {self.run: gr.Button(interactive=True), self.stop: gr.Button(interactive=False)}

    def halt(self) -> Update:
        """Stop was clicked."""
        return {self.message: "Stopped.", **self.end()}

    def choose_model(self, name: str) -> Update:
        """Load the model, and show its own settings."""
        try:
            pipe = self.models[name]
        except ValueError as error:
            return {self.message: alert(str(error))}
        return {
            self.message: "",
            self.guidance: pipe.model.guidance,
            self.examples: gr.Dataset(samples=_rows(examples_of(pipe.model))),
            self.board: _blank(pipe),
        }

    def choose_decoder(self, spelling: str | None) -> Update:
        """Show the description and the window of the decoder."""
        window, description = describe(spelling)
        return {self.window: gr.Number(value=window, interactive=window is not None), self.about: description}

    def _views(self, comparison: Comparison) -> Iterator[Update]:
        streams = comparison.streams
        views, seed = [View(stream.job.decoder, stream.job.grid) for stream in streams], streams[0].job.seed
        for _ in comparison.updates():
            views = list(map(View.updated, views, streams))
            yield {self.board: board(views, f"{TAKING_TURNS} Seed {seed}.")}
        views = list(map(View.updated, views, streams))
        yield {self.board: board(views, f"{verdict(views, comparison.same)} Seed {seed}.")}


def _blank(pipe: Pipeline) -> str:
    """The board before the first pass, with the default decoder."""
    decoders = ar(), default_decoder(pipe.model)
    return board([View(decoder, pipe.model.grid(None)) for decoder in decoders])


def _rows(samples: tuple[str, ...]) -> list[list[str]]:
    return [[text] for text in samples]
