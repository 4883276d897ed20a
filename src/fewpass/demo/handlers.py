"""The handlers of the page's events."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fewpass.core.errors import ModelError, OutOfMemory
from fewpass.demo.comparison import Comparison, Models, compare
from fewpass.demo.html import alert, board, describe, examples_of, status, verdict
from fewpass.demo.view import Panel, View
from fewpass.engine.request import default_decoder
from fewpass.models.weights import one_line

WAITING = "Waiting for the machine"
TAKING_TURNS = "They take turns on this machine; each clock counts its own passes only."
Update = dict[Any, Any]  # components and their new values


@dataclass(frozen=True)
class Parts:
    """The components of the page that handlers read and write."""

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
        """The inputs of a comparison."""
        return {self.prompt, self.model, self.decoder, self.window, self.guidance, self.seed}


class Handlers:
    """One comparison runs at a time; those of other tabs wait."""

    def __init__(self, parts: Parts, models: Models):
        self.parts, self.models = parts, models
        self._stops: dict[str, threading.Event] = {}  # by browser tab

    def arrive(self, request: gr.Request) -> None:
        """A tab was opened. The cost of the first answer is paid here, before any click."""
        self._stops[str(request.session_hash)] = threading.Event()

    def begin(self, request: gr.Request) -> Update:
        """Run was clicked; runs before the queue."""
        self._stops[str(request.session_hash)] = threading.Event()
        return {self.parts.message: status(WAITING), **self._buttons(running=True)}

    def draw(self, given: Update, request: gr.Request) -> Iterator[Update]:
        """Run the comparison, and yield updates of the page."""
        stop, parts = self._stops.get(str(request.session_hash)), self.parts
        if stop is None:  # the tab was closed while it waited
            return
        yield {parts.message: status("Warming up")}
        try:
            comparison = compare(
                self.models[given[parts.model]],
                given[parts.prompt],
                given[parts.decoder],
                given[parts.window],
                given[parts.guidance],
                given[parts.seed],
                stop.is_set,
            )
            yield {parts.message: ""}
            yield from self._views(comparison, stop)
        except (ValueError, ModelError, OutOfMemory) as error:
            yield {parts.message: alert(str(error))}
        except Exception as error:
            logging.exception("a comparison failed")
            yield {parts.message: alert(f"this is a bug of fewpass: {one_line(error) or type(error).__name__}")}

    def end(self) -> Update:
        """The comparison has ended, in any way."""
        return self._buttons(running=False)

    def halt(self, request: gr.Request) -> None:
        """Stop was clicked."""
        if (stop := self._stops.get(str(request.session_hash))) is not None:
            stop.set()

    def leave(self, request: gr.Request) -> None:
        """The tab was closed."""
        self.halt(request)
        self._stops.pop(str(request.session_hash), None)

    def choose_model(self, name: str) -> Update:
        """Load the model, and show its own settings."""
        parts = self.parts
        try:
            pipe = self.models[name]
        except ValueError as error:
            return {parts.message: alert(str(error))}
        return {
            parts.message: "",
            parts.guidance: pipe.model.guidance,
            parts.examples: gr.Dataset(samples=[[text] for text in examples_of(name)]),
            parts.board: board(View.pair(pipe, str(default_decoder(pipe.model)))),
        }

    def choose_decoder(self, spelling: str | None) -> Update:
        """Show the description and the window of the decoder."""
        window, description = describe(spelling)
        return {
            self.parts.window: gr.Number(value=window, interactive=window is not None),
            self.parts.about: description,
        }

    def _buttons(self, running: bool) -> Update:
        return {self.parts.run: gr.Button(interactive=not running), self.parts.stop: gr.Button(interactive=running)}

    def _views(self, comparison: Comparison, stop: threading.Event) -> Iterator[Update]:
        panels = [Panel(stream) for stream in comparison.streams]
        for _ in comparison.updates(stop.is_set):
            yield {self.parts.board: board([panel.view() for panel in panels], TAKING_TURNS)}
        views = [panel.view() for panel in panels]
        note = verdict(views, comparison.same) if comparison.finished else "Stopped."
        yield {self.parts.board: board(views, f"{note} Seed {comparison.streams[0].job.seed}.")}
