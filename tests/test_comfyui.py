"""The ComfyUI nodes, in a stub of their host that checks what it is given as the host does."""

import importlib.util
import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import fewpass
from fewpass.models.zoo import BUNDLED

FOLDER = Path(__file__).parents[1] / "integrations" / "comfyui"


class Interrupted(Exception):
    """What the host raises in a node when the user has pressed the button."""


class Host:
    """The parts of ComfyUI that nodes call."""

    def __init__(self, models: Path):
        self.updates, self.interrupt_at = [], None
        self.modules = {name: ModuleType(name) for name in ("comfy", "comfy.utils", "comfy.model_management")}
        self.modules["folder_paths"] = ModuleType("folder_paths")
        self.modules["folder_paths"].models_dir = str(models)
        self.modules["comfy"].utils = self.modules["comfy.utils"]
        self.modules["comfy"].model_management = self.modules["comfy.model_management"]
        self.modules["comfy.utils"].ProgressBar = lambda total, node_id=None: Bar(self, total)
        self.modules["comfy.model_management"].throw_exception_if_processing_interrupted = self.check
        self.modules["comfy.model_management"].get_torch_device = lambda: torch.device("cpu")

    def check(self) -> None:
        if self.interrupt_at is not None and len(self.updates) >= self.interrupt_at:
            raise Interrupted


class Bar:
    def __init__(self, host: Host, total: int):
        self.host, self.total = host, total

    def update_absolute(self, value, total=None, preview=None) -> None:
        self.host.updates.append((value, total or self.total, preview))


class SaveImage:
    """Stands for the host's own node of this name."""

    FUNCTION, RETURN_TYPES, saved = "save", (), []

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"images": ("IMAGE",), "filename_prefix": ("STRING", {"default": "ComfyUI"})}}

    def save(self, images, filename_prefix):
        self.saved.append(images)
        return ()


@pytest.fixture
def host(tmp_path, monkeypatch) -> Host:
    host = Host(tmp_path / "models")
    for name, module in host.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return host


@pytest.fixture
def nodes(host, monkeypatch):
    """The classes, imported as the host imports a folder of custom nodes."""
    name = "custom_nodes_fewpass"
    spec = importlib.util.spec_from_file_location(
        name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, f"{name}.nodes", raising=False)
    spec.loader.exec_module(module)
    assert module.NODE_CLASS_MAPPINGS.keys() == module.NODE_DISPLAY_NAME_MAPPINGS.keys()
    SaveImage.saved = []
    return {**module.NODE_CLASS_MAPPINGS, "SaveImage": SaveImage}


def defaults(node) -> dict:
    """What the widgets of a node hold at first."""
    widgets = {}
    for name, (kind, *options) in node.INPUT_TYPES()["required"].items():
        if isinstance(kind, list):
            widgets[name] = kind[0]
        elif options and "default" in options[0]:
            widgets[name] = options[0]["default"]
    return widgets


def check(value, kind, options) -> None:
    """What the host refuses before it runs anything."""
    if isinstance(kind, list):
        assert value in kind
    elif kind in ("INT", "FLOAT"):
        assert isinstance(value, int if kind == "INT" else (int, float))
        assert options.get("min", value) <= value <= options.get("max", value)
    elif kind == "STRING":
        assert isinstance(value, str)


def execute(workflow: dict, nodes: dict) -> dict:
    """Runs a workflow in the API's format; the outputs of every node."""
    outputs = {}

    def run(number: str) -> tuple:
        if number not in outputs:
            node, given = nodes[workflow[number]["class_type"]], {}
            declared = node.INPUT_TYPES()["required"]
            assert workflow[number]["inputs"].keys() == declared.keys()
            for name, value in workflow[number]["inputs"].items():
                kind, *options = declared[name]
                if isinstance(value, list):
                    source = nodes[workflow[value[0]]["class_type"]]
                    assert source.RETURN_TYPES[value[1]] == kind
                    given[name] = run(value[0])[value[1]]
                else:
                    check(value, kind, options[0] if options else {})
                    given[name] = value
            outputs[number] = getattr(node(), node.FUNCTION)(**given)
            assert len(outputs[number]) == len(node.RETURN_TYPES)
        return outputs[number]

    for number in workflow:
        run(number)
    return outputs


def drawn(nodes, pipeline, **changes):
    node = nodes["FewpassSampler"]
    return getattr(node(), node.FUNCTION)(pipeline=pipeline, **{**defaults(node), "prompt": "two red stars", **changes})


def test_example_workflow_draws(nodes, host, folder):
    workflow = json.loads((FOLDER / "workflow_api.json").read_text())
    assert workflow["1"]["inputs"]["model"] in BUNDLED
    workflow["1"]["inputs"]["model"], workflow["2"]["inputs"]["prompt"] = str(folder), "two red stars"
    outputs = execute(workflow, nodes)
    (images,), pipe = SaveImage.saved, outputs["1"][0]
    assert (images.dtype, images.shape) == (torch.float32, (4, 8, 8, 3))
    assert 0 <= images.min() < images.max() <= 1
    again = pipe("two red stars", seed=7, count=4)
    assert (np.stack([np.array(image) for image in again.images]) == (images * 255).round().numpy()).all()
    assert outputs["2"][1].count("forward passes") == 4
    assert host.updates[-1][:2] == (4 * 16, 4 * 16)


def test_both_workflows_are_equal(nodes):
    api = json.loads((FOLDER / "workflow_api.json").read_text())
    page = json.loads((FOLDER / "example_workflows" / "fewpass.json").read_text())
    links = {link[0]: link for link in page["links"]}
    assert len(page["nodes"]) == len(api)
    for node in page["nodes"]:
        values = iter(node["widgets_values"])
        sockets = {socket["name"]: links[socket["link"]] for socket in node["inputs"]}
        assert api[str(node["id"])]["class_type"] == node["type"]
        for name, (kind, *options) in nodes[node["type"]].INPUT_TYPES()["required"].items():
            expected = api[str(node["id"])]["inputs"][name]
            if name in sockets:
                _, source, slot, target, _, carried = sockets[name]
                assert ([str(source), slot], target, carried) == (expected, node["id"], kind)
                continue
            assert next(values) == expected
            if options and options[0].get("control_after_generate"):
                assert next(values) in ("fixed", "increment", "decrement", "randomize")
        assert next(values, None) is None
        assert [output["type"] for output in node["outputs"]] == list(nodes[node["type"]].RETURN_TYPES)


def test_widgets_become_settings(nodes, pipeline):
    asked = {"guidance": 2.5, "temperature": 0.9, "top_k": 9, "top_p": 0.8, "min_p": 0.1}
    asked["negative_prompt"] = "blue"
    images, cost = drawn(
        nodes, pipeline, seed=3, images=2, decoder="sjd", decoder_options="window=4", width=8, height=8, **asked
    )
    expected = pipeline("two red stars", seed=3, count=2, decoder="sjd(window=4)", **asked)
    assert ((images * 255).round().numpy() == np.stack([np.array(image) for image in expected.images])).all()
    assert cost.splitlines()[1].startswith(f"seed 4: {int(expected.trace.passes[1])} forward passes for 16 tokens, ")


def test_seeds_are_taken_modulo_2_to_the_63(nodes, pipeline):
    widget = nodes["FewpassSampler"].INPUT_TYPES()["required"]["seed"][1]
    assert (widget["max"], "2**63" in widget["tooltip"]) == (2**64 - 1, True)
    _, cost = drawn(nodes, pipeline, seed=2**64 - 1, images=2)
    assert [line.split(":")[0] for line in cost.splitlines()] == [f"seed {2**63 - 1}", "seed 0"]


def test_unset_widgets_are_the_models_own_values(nodes, pipeline):
    images, _ = drawn(nodes, pipeline, seed=3)
    expected = pipeline("two red stars", seed=3)
    assert ((images[0] * 255).round().numpy() == np.array(expected.images[0])).all()


def test_bar_and_preview_show_committed_tokens(nodes, pipeline, host, monkeypatch):
    monkeypatch.setattr(f"{nodes['FewpassSampler'].__module__}.PREVIEW_EVERY", 0)
    drawn(nodes, pipeline, decoder="ar", seed=3)
    assert [update[:2] for update in host.updates] == [(n, 16) for n in range(1, 17)]
    seen = []
    pipeline("two red stars", decoder="ar", seed=3, on_step=lambda canvas: seen.append(pipeline.render(canvas)[0]))
    previews = [update[2] for update in host.updates]
    assert previews[-1] is None
    assert [(kind, image.tobytes()) for kind, image, _ in previews[:-1]] == [("JPEG", i.tobytes()) for i in seen[:-1]]


def test_interrupt_ends_the_drawing(nodes, pipeline, host):
    host.interrupt_at = 3
    with pytest.raises(Interrupted):
        drawn(nodes, pipeline, decoder="ar")
    assert len(host.updates) == 3
    host.interrupt_at = None
    drawn(nodes, pipeline)


def test_models_folder_of_comfyui_is_searched(nodes, folder, tmp_path):
    (tmp_path / "models" / "fewpass").mkdir(parents=True)
    (tmp_path / "models" / "fewpass" / "small").symlink_to(folder)
    (pipe,) = nodes["FewpassLoader"]().load("small", "default", "float32")
    assert isinstance(pipe, fewpass.Pipeline)
    assert pipe.model.model.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 8}, "8 and 0"),
        ({"prompt": " "}, "' '"),
        ({"decoder_options": "widow=3"}, "'widow'"),
        ({"prompt": "a dragon"}, "'dragon'"),
    ],
)
def test_bad_values_are_named(nodes, pipeline, changes, named):
    with pytest.raises(ValueError, match=named):
        drawn(nodes, pipeline, **changes)


def test_requirements_are_the_checkout_that_holds_the_folder():
    lines = (FOLDER / "requirements.txt").read_text().split()
    assert [(FOLDER / line).resolve() for line in lines] == [FOLDER.parents[1]]
    assert tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text())["project"]["name"] == "fewpass"


def test_pyproject_describes_the_node_in_this_version():
    described = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert described["project"]["version"] == fewpass.__version__
    assert "dependencies" not in described["project"]
    assert {"PublisherId", "DisplayName"} <= described["tool"]["comfy"].keys()


def test_readme_and_docs_install_alike():
    pages = [FOLDER / "README.md", FOLDER.parents[1] / "docs" / "comfyui.md"]
    commands = [[line for line in page.read_text().splitlines() if line.startswith("$ ")] for page in pages]
    assert commands[0] == commands[1] != []
