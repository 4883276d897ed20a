"""The published models that fewpass draws with, for people to choose from."""

from dataclasses import dataclass

PROMPT = '"a red fox in the snow"'


@dataclass(frozen=True)
class Published:
    """`memory` in GB is weights in bfloat16 and the cache of one guided image; `licence` is that of the weights."""

    repository: str
    family: str
    images: str
    memory: str
    licence: str
    before: str = ""  # what is to be done first
    folder: str = ""  # where that puts the model

    @property
    def command(self) -> str:
        draw = f"fewpass generate {PROMPT} --model {self.folder or self.repository}"
        return f"{self.before} && {draw}" if self.before else draw


def _lumina(size: int, memory: str) -> Published:
    name = f"Lumina-mGPT-7B-{size}"
    steps = [f"hf download Alpha-VLLM/{name} --local-dir {name}"]
    if size != 768:  # the only one that is published with its tokenizer
        steps.append(f"hf download Alpha-VLLM/Lumina-mGPT-7B-768 --include 'tokenizer*' --local-dir {name}")
    steps.append(f"hf download leloy/Anole-7b-v0.1-vqvae-hf --local-dir {name}/vqgan")
    images = f"about {size}x{size}, multiples of 32"
    licence = "none stated; made from Meta's Chameleon"
    return Published(f"Alpha-VLLM/{name}", "chameleon", images, memory, licence, " && ".join(steps), name)


PUBLISHED = (
    Published("emoji", "janus", "128x128", "0.1", "Apache-2.0, comes with fewpass"),
    Published("deepseek-community/Janus-Pro-1B", "janus", "384x384", "5", "MIT"),
    Published("deepseek-community/Janus-Pro-7B", "janus", "384x384", "16", "MIT"),
    Published("Emu3-community/Emu3-Gen-hf", "emu3", "720x720, multiples of 8", "20", "Apache-2.0"),
    Published("leloy/Anole-7b-v0.1-hf", "chameleon", "512x512", "16", "Apache-2.0; made from Meta's Chameleon"),
    _lumina(512, "16"),
    _lumina(768, "17"),
    _lumina(1024, "19"),
    Published(
        "zai-org/GLM-Image",
        "glm_image",
        "1024x1024, multiples of 32",
        "80 with its diffusion decoder",
        "see its card",
        "pip install 'fewpass[glm]'",
    ),
)
