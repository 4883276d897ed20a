"""What the page does when something is typed or clicked."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import gradio as gr

from fewpass.core.errors import ModelError, OutOfMemory
from fewpass.demo.board import board, verdict
from fewpass.demo.contest import contest
from fewpass.demo.panel import Panel, View
from fewpass.demo.parts import Parts
from fewpass.demo.race import Race
from fewpass.demo.shelf import Shelf
from fewpass.demo.words import alert, examples_of, status, told_of
from fewpass.engine.request import default_decoder
from fewpass.models.weights import one_line

WAITING = "Waiting for the machine"
TAKING_TURNS = "They take turns on this machine; each clock counts its own passes only."
Update = dict[Any, Any]  # components and their new values


class Handlers:
    """One race runs at a time, whoever asks; the others wait for their turn."""

    def __init__(self, parts: Parts, shelf: Shelf, dtype: str | None):
        self.parts, self.shelf, self.dtype = parts, shelf, dtype
        self._stops: dict[str, threading.Event] = {}  # by browser tab

    def arrive(self, request: gr.Request) -> None:
        """A tab was opened: what the first answer costs is paid before anything is clicked."""
        self._stops[str(request.session_hash)] = threading.Event()

    def begin(self, request: gr.Request) -> Update:
        """At once, when a race was asked for: there may be a queue."""
        self._stops[str(request.session_hash)] = threading.Event()
        return {self.parts.message: status(WAITING), **self._buttons(racing=True)}

    def draw(self, given: Update, request: gr.Request) -> Iterator[Update]:
        """The race, one update for every look at it."""
        stop, parts = self._stops.get(str(request.session_hash)), self.parts
        if stop is None:  # the tab was closed while it waited
            return
        yield {parts.message: status("Warming up")}
        try:
            race = contest(
                self.shelf[given[parts.model]],
                given[parts.prompt],
                given[parts.decoder],
                given[parts.window],
                given[parts.guidance],
                given[parts.seed],
                stop.is_set,
            )
            yield {parts.message: ""}
            yield from self._looks(race, stop)
        except (ValueError, ModelError, OutOfMemory) as error:
            yield {parts.message: alert(str(error))}
        except Exception as error:
            logging.exception("a race failed")
            yield {parts.message: alert(f"that went wrong: {one_line(error) or type(error).__name__}")}

    def end(self) -> Update:
        """Whatever became of the race."""
        return self._buttons(racing=False)

    def halt(self, request: gr.Request) -> None:
        if (stop := self._stops.get(str(request.session_hash))) is not None:
            stop.set()

    def leave(self, request: gr.Request) -> None:
        """The tab was closed."""
        self.halt(request)
        self._stops.pop(str(request.session_hash), None)

    def choose_model(self, name: str) -> Update:
        parts = self.parts
        try:
            pipe = self.shelf[name]
        except ValueError as error:
            return {parts.message: alert(str(error))}
        return {
            parts.message: "",
            parts.guidance: pipe.model.guidance,
            parts.examples: gr.Dataset(samples=[[text] for text in examples_of(name)]),
            parts.board: board(View.pair(pipe, str(default_decoder(pipe.model)))),
        }

    def choose_decoder(self, spelling: str | None) -> Update:
        window, told = told_of(spelling)
        return {
            self.parts.window: gr.Number(value=window, interactive=window is not None),
            self.parts.about: told,
        }

    def _buttons(self, racing: bool) -> Update:
        return {self.parts.run: gr.Button(interactive=not racing), self.parts.stop: gr.Button(interactive=racing)}

    def _looks(self, race: Race, stop: threading.Event) -> Iterator[Update]:
        panels = [Panel(stream, self.dtype) for stream in race.streams]
        for _ in race.looks(stop.is_set):
            yield {self.parts.board: board([panel.look() for panel in panels], TAKING_TURNS)}
        views = [panel.look() for panel in panels]
        note = verdict(views, race.same) if race.over else "Stopped."
        yield {self.parts.board: board(views, f"{note} Seed {race.streams[0].job.seed}.")}
