"""The published models that fewpass draws with, for users to choose from."""

from dataclasses import dataclass
from pathlib import Path

BUNDLED = {"emoji": Path(__file__).parent / "emoji" / "checkpoint", "photo": Path(__file__).parent / "photo"}
PROMPT = '"a red fox in the snow"'
KNOWN = '"two stars on a blue background"'  # in the words of emoji


@dataclass(frozen=True)
class Published:
    """`memory` is weights in bfloat16 and the cache of one guided image; `licence` is that of the weights."""

    repository: str
    family: str
    images: str
    memory: str
    licence: str
    before: str = ""  # command that must run first
    folder: str = ""  # where that puts the model
    prompt: str = PROMPT

    @property
    def command(self) -> str:
        draw = f"fewpass generate {self.prompt} --model {self.folder or self.repository}"
        return f"{self.before} && {draw}" if self.before else draw


@dataclass(frozen=True)
class Substitute:
    """The checkpoint to `load` in place of others, by repository or by `model_type` of config.json."""

    names: tuple[str, ...]
    why: str  # they do not load
    load: str

    def refusal(self, name: str) -> str:
        return f"{name} is not supported: {self.why}; {self.load}"


def substitute_for(name: str) -> Substitute | None:
    """The substitute for a repository or a model type that fewpass does not load, if there is one."""
    return next((one for one in SUBSTITUTES if name in one.names), None)


def _lumina(size: int, memory: str) -> Published:
    name = f"Lumina-mGPT-7B-{size}"
    steps = [f"hf download Alpha-VLLM/{name} --local-dir {name}"]
    if size != 768:  # the only one that is published with its tokenizer
        steps.append(f"hf download Alpha-VLLM/Lumina-mGPT-7B-768 --include 'tokenizer*' --local-dir {name}")
    steps.append(f"hf download leloy/Anole-7b-v0.1-vqvae-hf --local-dir {name}/vqgan")
    images = f"about {size}x{size}, multiples of 32"
    licence = "none stated; made from Meta's Chameleon"
    return Published(f"Alpha-VLLM/{name}", "chameleon", images, memory, licence, " && ".join(steps), name)


def _llamagen(repository: str, file: str, side: int, memory: str) -> Published:
    images, licence = f"{side}x{side}", "none stated; its code is MIT"
    if file.startswith("c2i"):
        return Published(f"{repository}/{file}", "llamagen", f"{images}, of ImageNet", memory, licence, prompt="207")
    home = repository.partition("/")[2]
    before = (
        f"pip install 'fewpass[llamagen]' && hf download {repository} {file} vq_ds16_t2i.pt --local-dir {home}"
        f" && hf download google/flan-t5-xl --include '*.json' '*.safetensors' '*.model' --local-dir {home}/t5"
    )
    return Published(f"{repository}/{file}", "llamagen", images, memory, licence, before, f"{home}/{file}")


FORMAT = "its format is its authors' own, not that of transformers"
LUMINA = (_lumina(512, "16 GB"), _lumina(768, "17 GB"), _lumina(1024, "19 GB"))
CHAMELEON = ("facebook/chameleon-7b", "facebook/chameleon-30b")
SUBSTITUTES = (
    Substitute(("deepseek-ai/Janus-Pro-1B",), FORMAT, "load deepseek-community/Janus-Pro-1B"),
    Substitute(("deepseek-ai/Janus-Pro-7B",), FORMAT, "load deepseek-community/Janus-Pro-7B"),
    Substitute(
        ("multi_modality", "deepseek-ai/Janus-1.3B"),
        FORMAT,
        "load deepseek-community/Janus-Pro-1B or deepseek-community/Janus-Pro-7B",
    ),
    Substitute(
        ("deepseek-ai/JanusFlow-1.3B",),
        "it draws by rectified flow, not token by token",
        "load deepseek-community/Janus-Pro-1B",
    ),
    Substitute(
        ("Emu3", "BAAI/Emu3-Gen", "BAAI/Emu3-Stage1", "BAAI/Emu3-Chat"), FORMAT, "load Emu3-community/Emu3-Gen-hf"
    ),
    Substitute(CHAMELEON, "Meta's Chameleon does not draw", "load leloy/Anole-7b-v0.1-hf"),
    Substitute(("GAIR/Anole-7b-v0.1",), FORMAT, "load leloy/Anole-7b-v0.1-hf"),
    *(
        Substitute((m.repository,), "its image decoder is published elsewhere", f"run `{m.before}` and load {m.folder}")
        for m in LUMINA
    ),
)
PUBLISHED = (
    Published("emoji", "janus", "128x128", "0.1 GB", "Apache-2.0, comes with fewpass", prompt=KNOWN),
    Published(
        "photo",
        "llamagen",
        "128x128",
        "0.1 GB",
        "Apache-2.0, comes with fewpass",
        prompt='"autumn leaves"',
    ),
    Published("deepseek-community/Janus-Pro-1B", "janus", "384x384", "5 GB", "MIT"),
    Published("deepseek-community/Janus-Pro-7B", "janus", "384x384", "16 GB", "MIT"),
    Published("Emu3-community/Emu3-Gen-hf", "emu3", "720x720, multiples of 8", "20 GB", "Apache-2.0"),
    Published("leloy/Anole-7b-v0.1-hf", "chameleon", "512x512", "16 GB", "Apache-2.0; made from Meta's Chameleon"),
    *LUMINA,
    Published(
        "zai-org/GLM-Image",
        "glm_image",
        "1024x1024, multiples of 32",
        "80 GB with its diffusion decoder",
        "see its card",
        "pip install 'fewpass[glm]'",
    ),
    _llamagen("FoundationVision/LlamaGen", "c2i_B_256.pt", 256, "1 GB"),
    _llamagen("FoundationVision/LlamaGen", "c2i_B_384.pt", 384, "1 GB"),
    _llamagen("FoundationVision/LlamaGen", "c2i_L_256.pt", 256, "1 GB"),
    _llamagen("FoundationVision/LlamaGen", "c2i_L_384.pt", 384, "1 GB"),
    _llamagen("FoundationVision/LlamaGen", "c2i_XL_384.pt", 384, "2 GB"),
    _llamagen("FoundationVision/LlamaGen", "c2i_XXL_384.pt", 384, "4 GB"),
    _llamagen("FoundationVision/LlamaGen", "c2i_3B_384.pt", 384, "7 GB"),
    _llamagen("peizesun/llamagen_t2i", "t2i_XL_stage1_256.pt", 256, "5 GB with its text encoder"),
    _llamagen("peizesun/llamagen_t2i", "t2i_XL_stage2_512.pt", 512, "5 GB with its text encoder"),
)
