"""Scheduler under any sequence of calls: every job that is not dropped ends once, with the image drawn alone."""

from dataclasses import dataclass

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fewpass import Failed, Finished, Jacobi, Scheduler
from fewpass.core.errors import OutOfMemory
from fewpass.engine import memory as counted
from fewpass.engine.memory import image_bytes
from fewpass.models.base import Model
from tests.properties import REPEATABLE
from tests.tiny import SIDE

N = SIDE**2


@dataclass(frozen=True)
class BreaksAt(Jacobi):
    """Raises as soon as an image has so many tokens."""

    tokens: int = 0

    def begin(self, canvas, p, noise):
        return self._checked(canvas, super().begin(canvas, p, noise))

    def verify(self, canvas, state, p, noise):
        return self._checked(canvas, super().verify(canvas, state, p, noise))

    def _checked(self, canvas, state):
        if max(canvas.lengths) >= self.tokens:
            raise ArithmeticError(f"an image has {self.tokens} tokens")
        return state


SOUND = [
    {"decoder": "jacobi(window=3)"},
    {"decoder": "jacobi(window=3)", "guidance": 2.0},  # shares the passes of the first
    {"decoder": "jacobi(window=3)", "temperature": 0.7},  # does not
    {"decoder": "mc_sjd(window=3)"},
    {"decoder": "sjd_pac(window=3, candidates=2, depth=2)", "guidance": 1.0},
]
BREAKING = [{"decoder": BreaksAt(2, tokens=n)} for n in (1, 9)]  # in the prompts' pass, and later
KINDS = SOUND + BREAKING
PROMPTS = ["one", "red stars", "two blue stars on a red background"]
JOBS = st.tuples(st.sampled_from(SOUND[:2] + SOUND + BREAKING), st.sampled_from(PROMPTS), st.integers(0, 2))
MEMORY = st.sampled_from([None, 1, 2])  # images that fit, None for any number


class SchedulerMachine(RuleBasedStateMachine):
    def __init__(self, pipeline, memory, alone):
        super().__init__()
        self.pipeline, self.memory, self.known = pipeline, memory, alone
        self.memory["free"] = None
        self.added, self.options = [], {}  # jobs that are neither over nor dropped, in the order in which they came
        self.over, self.limited, self.returned, self.fatal = [], False, False, False
        self.memory |= {"out": False, "starved": 0, "drawing": lambda: len(self.scheduler.drawing)}

    @initialize(batch=st.sampled_from([6, 4, 8, 1]), jobs=st.lists(JOBS, min_size=3, max_size=8), memory=MEMORY)
    def begin(self, batch, jobs, memory):
        self.scheduler, self.batch = Scheduler(self.pipeline.model, batch), batch
        self.most = batch  # images that may be there: more than `batch` only until those drawn before halving are done
        self.add(jobs)
        if memory:
            self.leave_memory_for(memory)

    @rule(jobs=st.lists(JOBS, min_size=3, max_size=8))
    def add(self, jobs):
        for options, prompt, seed in jobs:
            job = self.pipeline.job(prompt, seed=seed, **options)
            self.scheduler.add(job)
            self.added.append(job)
            self.options[job] = options, prompt, seed

    @rule(passes=st.integers(1, 3))
    def step(self, passes):
        for _ in range(passes):
            self.memory["starved"] = 0
            before = self.batch
            over = self.scheduler.step()
            self.fatal = self.memory["starved"] == 1
            if self.memory["starved"] and not self.fatal:
                self.batch = self.memory["starved"] // 2
                self.most, self.returned = max(self.most, before), True
            assert self.scheduler.batch_size == self.batch
            for outcome in over:
                assert outcome.job in self.added, "a job that is over or dropped, or was never added"
                self.added.remove(outcome.job)
                self.over.append(outcome.job)
                self.outcome_is_right(outcome)
            self.most = max(self.batch, min(self.most, len(self.scheduler.drawing)))

    def outcome_is_right(self, outcome):
        options, *_ = self.options[outcome.job]
        if self.fatal and options not in BREAKING:
            assert isinstance(outcome.error, OutOfMemory), outcome
        elif self.fatal:
            assert isinstance(outcome.error, OutOfMemory | ArithmeticError), outcome
        elif options in BREAKING:
            assert isinstance(outcome, Failed)
            assert isinstance(outcome.error, ArithmeticError), outcome.error
        else:
            assert isinstance(outcome, Finished), outcome.error
            tokens, committed = self.alone(outcome.job)
            assert outcome.canvas.tokens[:, :N].tolist() == tokens
            assert outcome.trace.committed.tolist() == committed

    @rule(data=st.data())
    def drop(self, data):
        """Some that wait or are being drawn, and perhaps one that is over."""
        jobs = data.draw(st.lists(st.sampled_from(self.added), max_size=3)) if self.added else []
        self.scheduler.drop(jobs + self.over[-1:])
        self.added = [job for job in self.added if job not in jobs]
        self.most = max(self.batch, min(self.most, len(self.scheduler.drawing)))

    @rule()
    def run_out_of_memory(self):
        """In the next prefill."""
        self.memory["out"] = True

    @rule(images=MEMORY)
    def leave_memory_for(self, images):
        """At least one image of every kind, and so many of the largest, whatever is being drawn."""
        jobs = [self.pipeline.job(PROMPTS[-1], seed=0, **options) for options in SOUND]
        self.limited = True
        self.memory["free"] = None
        if images is not None:
            needed = max(images * image_bytes(self.pipeline.model, [job]) for job in jobs)
            self.memory["free"] = int(needed / counted.SHARE) + 2

    @precondition(lambda self: len(self.added) > 6)
    @rule()
    def draw_all_that_is_left(self):
        self.memory["free"], self.memory["out"] = None, False  # to be done in fewer passes
        for _ in range((N + 1) * len(self.added)):
            if self.added:
                self.step(1)
        assert self.added == []

    @invariant()
    def no_job_is_lost_or_there_twice(self):
        there = [*self.scheduler.drawing, *self.scheduler.waiting]
        assert len(there) == len(self.added)
        assert set(there) == set(self.added)
        assert len(self.scheduler.drawing) <= self.most
        assert self.scheduler.capacity == self.batch - len(self.added)

    @invariant()
    def first_come_is_first_served(self):
        """Jobs share the prefill of their like, and so may pass others, but never their like."""
        waiting = list(self.scheduler.waiting)
        if self.returned:  # jobs that begin again are the first, whoever was between them
            return
        assert waiting == [job for job in self.added if job in waiting]
        for kind in KINDS:
            group = [job for job in self.added if self.options[job][0] is kind]
            held = [job for job in group if job in waiting]
            assert held == group[len(group) - len(held) :]

    @invariant()
    def final_tokens_are_those_of_the_image_drawn_alone(self):
        for jobs, canvas in self.scheduler.canvases():
            assert len(jobs) == len(canvas.tokens)
            for job, tokens, final in zip(jobs, canvas.tokens.tolist(), canvas.final.tolist(), strict=True):
                if self.options[job][0] in SOUND:
                    alone = self.alone(job)[0][0]
                    assert [t for t, done in zip(tokens, final, strict=False) if done] == [
                        t for t, done in zip(alone, final, strict=True) if done
                    ]

    def alone(self, job):
        options, prompt, seed = self.options[job]
        key = (SOUND.index(options), prompt, seed)
        if key not in self.known:
            free, self.memory["free"] = self.memory["free"], None
            out, self.memory["out"] = self.memory["out"], False
            result = self.pipeline(prompt, seed=seed, **options)
            self.memory["out"] = out
            self.known[key] = result.tokens.tolist(), result.trace.committed.tolist()
            self.memory["free"] = free
        return self.known[key]


@pytest.mark.filterwarnings("ignore:.*fewer are drawn at a time", "ignore:out of memory")
def test_scheduler_loses_no_job_and_draws_each_image_as_alone(pipeline, monkeypatch):
    memory, alone = {"free": None}, {}
    monkeypatch.setattr(counted, "available", lambda device: memory["free"])
    opened = Model.open_rows

    def open_rows(model, rows, grid, guidance):
        if memory.get("out"):
            memory["out"], memory["starved"] = False, len(rows) + memory["drawing"]()
            raise MemoryError
        return opened(model, rows, grid, guidance)

    monkeypatch.setattr(Model, "open_rows", open_rows)
    run_state_machine_as_test(
        lambda: SchedulerMachine(pipeline, memory, alone),
        settings=settings(
            REPEATABLE, max_examples=45, stateful_step_count=15, phases=[Phase.generate]
        ),  # to shrink 15 steps takes minutes
    )


@pytest.mark.filterwarnings("ignore:.*fewer are drawn at a time")
def test_jobs_that_memory_holds_back_keep_their_order(pipeline, monkeypatch):
    few, many = (
        [pipeline.job("one", seed=seed, decoder=decoder) for seed in range(2)] for decoder in ("ar", "jacobi(window=3)")
    )
    one = image_bytes(pipeline.model, many[:1])
    scheduler = Scheduler(pipeline.model, 4)
    held = lambda: sum(image_bytes(pipeline.model, [job]) for job in scheduler.drawing)  # noqa: E731
    monkeypatch.setattr(counted, "available", lambda device: int((2 * one - held()) / counted.SHARE))
    for job in (many[0], *few, many[1]):
        scheduler.add(job)
    for _ in range(3):
        scheduler.step()
    assert scheduler.drawing == [many[0], few[0]]
    assert list(scheduler.waiting) == [few[1], many[1]]
