"""The contract of a family: kept by ours, and broken models are found out."""

import re
from dataclasses import replace

import pytest
import torch

import fewpass
import fewpass.contract
import fewpass.testing.model_checks
from fewpass import Grid
from fewpass.cli import main
from fewpass.cli.check import UNSEEN
from fewpass.models import FAMILIES
from fewpass.models.base import Model
from fewpass.models.layout import with_row_ends
from fewpass.models.zoo import PUBLISHED
from fewpass.runtime.kv_cache import SlotCache
from fewpass.runtime.session import PromptSession
from fewpass.testing.model_checks import CHECKS, check_model, difference
from fewpass.testing.probe import Probe, alone
from tests.families import CODES, rewrite, write_anole, write_emu3, write_glm_image, write_janus, write_lumina
from tests.llamagen import write_c2i, write_t2i
from training.scenes import parse

GRIDS = {
    "janus": [Grid(4, 4, CODES)],
    "emu3": [with_row_ends(3, 4, CODES), with_row_ends(4, 4, CODES)],
    "anole": [Grid(4, 4, CODES)],
    "lumina": [with_row_ends(4, 6, CODES), with_row_ends(4, 4, CODES)],
    "glm_image": [Grid(3, 4, CODES, before=((2, 3),)), Grid(4, 4, CODES, before=((2, 2),))],
    "llamagen_c2i": [Grid(4, 4, CODES)],
    "llamagen_t2i": [Grid(3, 4, CODES), Grid(4, 4, CODES)],
}
WRITERS = dict(
    zip(
        GRIDS,
        (write_janus, write_emu3, write_anole, write_lumina, write_glm_image, write_c2i, write_t2i),
        strict=True,
    )
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    found = {}
    for name, write in WRITERS.items():
        folder = tmp_path_factory.mktemp(name)
        found[name] = fewpass.load(write(folder), device="cpu").model
    return found


def test_older_import_path_gives_the_same_checks():
    for name in ("CHECKS", "Finding", "check_model"):
        assert getattr(fewpass.contract, name) is getattr(fewpass.testing.model_checks, name)


@pytest.mark.parametrize("name", GRIDS)
def test_every_family_keeps_the_contract(models, name):
    findings = check_model(models[name], GRIDS[name])
    assert {finding.what: finding.error for finding in findings if not finding.passed} == {}
    guided = [finding for finding in findings if finding.what == "guided = its rows mixed by hand"]
    assert len(guided) == (0 if name == "glm_image" else len(GRIDS[name]))
    assert len(findings) - len(guided) == 7 * len(GRIDS[name])


def test_small_layouts_are_found_where_there_are_some(models, monkeypatch):
    monkeypatch.setattr(fewpass.testing.model_checks, "_findings", lambda model, grid, seed: [grid.grids])
    assert check_model(models["lumina"]) == [((8, 9),), ((8, 13),), ((12, 9),)]
    assert check_model(models["anole"]) == [((4, 4),)]
    monkeypatch.setattr(models["lumina"], "context", 72 + 9)
    assert check_model(models["lumina"]) == [((8, 9),)], "a layout longer than the context is not checked"


SIZED = {"emu3": ["--size", "24x16"], "lumina": ["--size", "64x64"], "glm_image": ["--size", "96x128"]}
SIZED |= {"llamagen_c2i": ["--size", "8x8"], "llamagen_t2i": ["--size", "8x8"]}


@pytest.fixture
def check(tmp_path, capsys):
    """Write the checkpoint of a family, change it, run the command: its exit code and the fields of its lines."""

    def run(name, change=lambda folder: None, *options):
        folder = WRITERS[name](tmp_path / name)
        change(folder)
        code = main(["check", str(folder), "--device", "cpu", *SIZED.get(name, []), *options])
        return code, [tuple(line.split("\t")) for line in capsys.readouterr().out.splitlines()]

    return run


def found(lines, part, what):
    """What the line of this name says, and its verdict."""
    ((value, verdict),) = [line[2:] for line in lines if line[:2] == (part, what)]
    return value, verdict


@pytest.mark.parametrize("fault", [False, True])
def test_check_runs_the_contract(check, monkeypatch, fault):
    if fault:
        monkeypatch.setitem(CHECKS, next(iter(CHECKS)), lambda probe: (torch.zeros(1), torch.ones(1)))
    code, lines = check("emu3")
    contract = [line for line in lines if line[0] == "contract"]
    assert code == (1 if fault else 0)
    assert len(contract) == 8
    assert all(line[1].endswith(", 2x4") for line in contract)
    assert sum(line[3] == "FAILED" for line in lines) == (1 if fault else 0)
    assert [line[1] for line in lines if line[0] == "not verified"] == [what for what, _ in UNSEEN]


READ = {  # the rows of a prompt
    "janus": ("4 <begin>", "0 <pad> | 0 <pad> | 4 <begin>"),
    "emu3": ("<|image token|>", "<|image token|>"),
    "anole": ("<racm3:break>", "<s> | "),
    "lumina": ("<reserved08802>", "3 ids: "),
    "glm_image": ("<|dit_begin|>", "none: the guidance scale is 1"),
    "llamagen_c2i": ("class 0", "no class"),
    "llamagen_t2i": ("features of width 16", "features of width 16"),
}


@pytest.mark.parametrize("name", READ)
def test_check_shows_how_a_family_is_read(check, monkeypatch, name):
    monkeypatch.setattr(fewpass.testing.model_checks, "_findings", lambda model, grid, seed: [])
    code, lines = check(name)
    conditional, unconditional = READ[name]
    failed = [line[1] for line in lines if line[3] == "FAILED"]
    assert (code, failed) == ((1, ["pictures"]) if name == "glm_image" else (0, []))
    assert conditional in found(lines, "prompt", "conditional row")[0]
    assert unconditional in found(lines, "prompt", "unconditional row")[0]
    assert found(lines, "numbers", "weights in float32") == ("finite", "ok")
    assert found(lines, "numbers", "logits in float32")[0].startswith("finite at all ")
    from_file = "0.9, from generation_config.json"
    temperature = {"glm_image": from_file, "anole": "0.7, from the class of its family"}
    assert found(lines, "defaults", "temperature")[0] == temperature.get(name, "1, from the class of its family")


def damage(folder):
    """NaN in the last norm of the language model."""

    def spoiled(weights):
        (norm,) = [
            name for name in weights if name.endswith("norm.weight") and "layer" not in name and "vq" not in name
        ]
        return weights | {norm: weights[norm] * torch.nan}

    files = [path for path in folder.glob("*.pt") if not path.name.startswith("vq")]
    for path in files:
        stored = torch.load(path)
        torch.save(spoiled(stored.get("model") or stored["module"]), path)
    if not files:
        rewrite(folder, spoiled)


@pytest.mark.parametrize("name", READ)
def test_check_finds_nan(check, name):
    code, lines = check(name, damage)
    assert code == 1
    assert found(lines, "numbers", "weights in float32")[0].startswith("NaN or inf in 1 of ")
    value, verdict = found(lines, "numbers", "logits in float32")
    assert re.fullmatch(r"NaN at \d+ of \d+ positions", value)
    assert verdict == "FAILED"


def test_check_reports_nan_behind_random_prompts(check):
    def spoil(weights):
        (name,) = [name for name in weights if name.endswith("embed_tokens.weight")]
        rest = torch.arange(len(weights[name])) > 8  # behind the special words, a and cat
        return weights | {name: weights[name].masked_fill(rest[:, None], torch.nan)}

    code, lines = check("janus", lambda folder: rewrite(folder, spoil))
    assert code == 1
    assert found(lines, "numbers", "logits in float32")[1] == "ok"
    assert "logits contain NaN in float32" in found(lines, "contract", "random prompts and codes")[0]


def test_check_of_the_bundled_model(capsys, monkeypatch):
    monkeypatch.setattr(fewpass.testing.model_checks, "_findings", lambda model, grid, seed: [])
    assert main(["check", "emoji", "--device", "cpu", "--prompt", "two red cats"]) == 0
    lines = [tuple(line.split("\t")) for line in capsys.readouterr().out.splitlines()]
    assert found(lines, "prompt", "text")[0] == "'two red cats'"
    assert found(lines, "defaults", "guidance_scale")[0] == "1.25, from generation_config.json"
    assert found(lines, "sizes", "default")[0] == "128x128"


def test_check_shows_notes_and_the_source_of_the_size(check, monkeypatch):
    monkeypatch.setattr(fewpass.testing.model_checks, "_findings", lambda model, grid, seed: [])
    monkeypatch.setattr(Model, "notes", ("tokenizer mended: none",))
    monkeypatch.setattr(Model, "size_source", "from its name")
    lines = check("janus")[1]
    assert found(lines, "model", "note")[0] == "tokenizer mended: none"
    assert found(lines, "sizes", "default")[0] == "8x8, from its name"


def large(folder):
    """A weight that float16 cannot hold, and that no other dtype minds."""

    def scaled(weights):
        (name,) = [name for name in weights if name.endswith("layers.0.mlp.down_proj.weight")]
        return weights | {name: weights[name] * 1e7}

    rewrite(folder, scaled)


def test_check_finds_what_a_dtype_cannot_hold(check, monkeypatch):
    monkeypatch.setattr(fewpass.testing.model_checks, "_findings", lambda model, grid, seed: [])
    code, lines = check("janus", large, "--dtype", "float16")
    assert code == 1
    assert [line[1] for line in lines if line[3] == "FAILED"] == ["weights in float16", "logits in float16"]
    assert check("janus", large, "--dtype", "bfloat16")[0] == 0


def test_check_refuses_unknown_dtypes_before_it_loads(capsys):
    assert main(["check", "emoji", "--dtype", "int4"]) == 2
    assert "dtype must be one of float32, float16, bfloat16, float64, got 'int4'" in capsys.readouterr().err


def test_the_bundled_model_knows_the_words_of_its_command():
    (bundled,) = (p for p in PUBLISHED if p.repository == "emoji")
    assert parse(bundled.command.split('"')[1]).count == 2


def test_the_published_models(capsys):
    assert main(["models"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert {line[1] for line in lines} <= set(FAMILIES)
    for model, _, _, memory, _, command in lines:
        assert re.fullmatch(r"[\d.]+ GB( with its .+)?", memory)
        assert command.startswith(("fewpass generate", "hf download", "pip install"))
        assert command.endswith((f"--model {model}", f"--model {model.partition('/')[2]}"))


def broken(findings):
    return {finding.what.split(" = ")[0] for finding in findings if not finding.passed}


def having(model, **parts):
    """The same model with other parts in its network."""
    same = object.__new__(type(model))
    vars(same).update(vars(model) | {"network": replace(model.network, **parts)})
    return same


def test_positions_are_the_models_own_affair(models):
    sparse = having(models["emu3"], positions=lambda position, offset: position * (1 + offset[:, None] % 2))
    assert not broken(check_model(sparse, GRIDS["emu3"][:1]))


def test_positions_that_start_anew_with_every_pass(models):
    anew = having(models["emu3"], positions=lambda position, offset: position - position.amin(1, keepdim=True))
    assert "one token at a time" in broken(check_model(anew, GRIDS["emu3"][:1]))


def test_rows_that_are_not_on_their_own(models):
    crowded = having(models["emu3"], positions=lambda position, offset: position * len(offset))
    assert "prompts of different lengths together" in broken(check_model(crowded, GRIDS["emu3"][:1]))


def test_a_head_that_allows_what_the_layout_forbids(models, monkeypatch):
    monkeypatch.setattr(Grid, "forbid", lambda grid, index, logits: logits)
    assert "tokens that the layout dictates are certain" in broken(check_model(models["emu3"], GRIDS["emu3"][:1]))


def test_a_cache_that_forgets_to_overwrite(models, monkeypatch):
    place = SlotCache.begin_pass

    def stubborn(cache, slot, real=None, sees=None):
        held = cache.written.gather(1, slot.clamp(max=cache.written.shape[1] - 1))
        mask = place(cache, slot, real, sees)
        cache.slots.slot = torch.where(held, cache.written.shape[1] - 1, cache.slots.slot)
        return mask

    monkeypatch.setattr(SlotCache, "begin_pass", stubborn)
    assert "slots written before" in broken(check_model(models["emu3"], GRIDS["emu3"][:1]))


def test_guidance_that_is_mixed_up(models, monkeypatch):
    guide = PromptSession._guide

    def swapped(session, logits, index):
        images, rows = session.weights.shape[0], session.weights.shape[1] + 1
        return guide(session, logits.view(images, rows, *logits.shape[1:]).flip(1).flatten(0, 1), index)

    monkeypatch.setattr(PromptSession, "_guide", swapped)
    assert "guided" in broken(check_model(models["emu3"], GRIDS["emu3"][:1]))


def test_guidance_that_is_refused(models):
    def refuse(*arguments):
        raise ValueError("there is no guidance")

    silent = having(models["emu3"])
    silent.rows = refuse
    assert broken(check_model(silent, GRIDS["emu3"][:1])) == {"guided"}


@torch.inference_mode()
@pytest.mark.parametrize("name", GRIDS)
def test_eager_attention_gives_the_logits_of_sdpa(models, name):
    probe = Probe(models[name], GRIDS[name][0], 0)
    expected, body = alone(probe), models[name].network.body.model
    body.set_attn_implementation("eager")
    answers = alone(probe)
    body.set_attn_implementation("sdpa")
    assert difference(answers, expected) < 1e-4


def test_a_body_that_does_not_know_what_it_said_before(models):
    class Noisy:
        def __init__(self, body):
            self.body, self.calls = body, 0

        def __call__(self, *arguments):
            self.calls += 1
            return self.body(*arguments) * (0.5 + self.calls % 2)

    network = models["emu3"].network
    found = broken(check_model(having(models["emu3"], body=Noisy(network.body)), GRIDS["emu3"][:1]))
    assert any(what.startswith("fixed noise") for what in found)


def test_differences_are_in_units_of_the_largest_logit():
    low = torch.tensor([1.0, -4.0, -torch.inf])
    assert difference(low, low) == 0
    assert difference(low + torch.tensor([0.0, 1.0, 0.0]), low) == 0.25
    assert difference(low, torch.tensor([1.0, -4.0, 0.0])) == float("inf")
