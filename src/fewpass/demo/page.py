"""The page as a whole."""

import json

import gradio as gr

from fewpass.demo.handlers import WAITING, Handlers
from fewpass.demo.parts import lay_out
from fewpass.demo.shelf import Shelf
from fewpass.demo.words import status

MACHINE = "machine"  # events that use it take turns
QUEUE = 20  # races that may wait
# What `Handlers.begin` answers, by the browser itself: the server's first answer may take seconds.
AT_ONCE = f"""() => [{json.dumps(status(WAITING))},
  {{__type__: "update", interactive: false}}, {{__type__: "update", interactive: true}}]"""


def build(shelf: Shelf, dtype: str | None) -> gr.Blocks:
    """The page that offers the models of `shelf`; `dtype` is noted in the images. Loads the first model."""
    pipe = shelf[shelf.names[0]]
    with gr.Blocks(title="fewpass", analytics_enabled=False, fill_width=True) as page:
        parts = lay_out(pipe, shelf.names)
        on = Handlers(parts, shelf, dtype)
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
