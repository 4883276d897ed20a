"""The models that fewpass draws with, for users to choose from; `zoo.toml` lists the published ones."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUNDLED = {"emoji": HERE / "emoji" / "checkpoint", "photo": HERE / "photo"}


@dataclass(frozen=True)
class Published:
    """A published model, and the command that draws with it."""

    repository: str
    family: str
    images: str
    memory: str
    licence: str
    command: str


@dataclass(frozen=True)
class Substitute:
    """The checkpoint to `load` in place of others, by repository or by `model_type` of config.json."""

    names: list[str]
    why: str  # they do not load
    load: str

    def refusal(self, name: str) -> str:
        """The line of the error that loading `name` raises."""
        return f"{name} is not supported: {self.why}; {self.load}"


_tables = tomllib.loads((HERE / "zoo.toml").read_text(encoding="utf-8"))
PUBLISHED = tuple(Published(**entry) for entry in _tables["published"])
SUBSTITUTES = tuple(Substitute(**entry) for entry in _tables["substitute"])


def words_of(bundled: str) -> list[str]:
    """The classes that a bundled model draws, or the words of its prompts."""
    folder = BUNDLED[bundled]
    if (settings := folder / "fewpass.json").exists():
        return json.loads(settings.read_text(encoding="utf-8"))["classes"]
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return sorted(tokenizer["model"]["vocab"].keys() - {token["content"] for token in tokenizer["added_tokens"]})


def substitute_for(name: str) -> Substitute | None:
    """The substitute for a repository or a model type that fewpass does not load, if there is one."""
    return next((one for one in SUBSTITUTES if name in one.names), None)
