"""Prose: one word per concept in code, help, messages and docs; decoders that docs name exist."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest
import typer

import fewpass
from fewpass.cli.app import app

ROOT = Path(__file__).parents[1]
EXEMPT = {"research-log.md", "changelog.md"}  # they quote names of their time
# Folders and pages whose prose follows the glossary of CONTRIBUTING.
CLEAN = [
    "src/fewpass/batch",
    "src/fewpass/bench",
    "src/fewpass/cli",
    "src/fewpass/core",
    "src/fewpass/decoders",
    "src/fewpass/demo",
    "src/fewpass/engine",
    "src/fewpass/evaluation",
    "src/fewpass/integrations",
    "src/fewpass/io",
    "src/fewpass/models",
    "src/fewpass/runtime",
    "src/fewpass/serve",
    "src/fewpass/testing",
    "src/fewpass/viz",
    "bench",
    "integrations/comfyui",
    "training",
    "README.md",
    *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in EXEMPT),
]
SUBSTITUTIONS = {  # a regular expression -> the words to write instead; case is ignored, a blank is any white space
    # The glossary.
    r"races?|racing": "Gumbel-max, or comparison",
    r"guess(es|ed|ing)?(?!=)": "draft",
    r"company": "batch key",
    r"portions?": "micro-batch",
    r"steady": "batch-invariant",
    r"twins?|lean": "fast path",
    r"jobs?": "request, or run",
    r"prompts?'s? (own )?pass": "prefill",
    r"(?<!in\s)fronts?": "row frontier",
    r"rooms?": "capacity",
    r"contrast rows?": "unconditional row",
    r"scale of guidance": "guidance scale",
    r"law of (the|a) model": "distribution of the model",
    r"(leaves?|takes?|give up) (its|their|a) places?": "slot",
    r"how wide (the|a) window": "the window",
    r"shel(f|ves)|roster|crew|doors?|kin": "the name of the concept: models, replicas, workers, endpoint",
    r"contestants?|rivals?": "decoder, or baseline",
    r"prices?|priced": "seconds of a pass",
    r"dear|cheaply": "slow, or fast",
    r"words? of (its|their) own": "the field's word",
    # Subjects that are no thing in the code.
    r"nobody|somebody|anybody": "name the thing: no process, no client, a user",
    r"who|whom|whoever": "name the thing: the client, the process, which",
    r"what|whatever": "name the thing: the options, the error, the outcome, the cost",
    r"those (that|who|which)": "the noun again",
    r"all (that|there is)": "the noun: all settings, all lines",
    r"people|strangers?": "users, clients",
    # Verbs that things in the code do not do.
    r"knows?|known? of": "holds, has, is given, lists",
    r"teach(es)?|learns?": "shows, measures",
    r"keeps? company|has a say|has the last word": "shares a batch, decides",
    r"will(ing)? not do|will do": "is out of range, is not supported",
    r"(becomes?|became|become) of": "outcome of",
    r"says? (so|what|which|how|why|where|that|for)": "names, lists, prints, describes",
    r"said|told|tells?": "printed, named, distinguishes",
    r"go(es)? on|gone on": "resumes, continues",
    r"asks? (the model|nobody|for|itself|about)|asked (for|about)": "calls, requests, requested, given",
    r"(may )?come again": "may be repeated",
    r"in hands?": "being drawn",
    r"at hand": "on disk",
    r"under way": "in progress, unfinished",
    r"thrown away": "discarded",
    r"as ever": "as usual",
    r"grew": "after each forward pass",
    r"is to be (had|found|seen)": "is available, is at, is shown",
    r"next to no": "few",
    r"wins?|won": "accepts",
    r"stands? firm|guesses that stand": "accepted",
    r"a matter of": "limited by",
    r"hurts?": "slows",
    r"left (alone|behind)|leaves? nothing": "unchanged, removed",
    r"makes? (out )?of": "the result of",
    r"count(s|ed)? for nothing": "is not counted",
    r"had the least": "the least",
    r"in the way": "as",
    r"there is no (such )?reason": "no reason is given",
}
ADVICE = {
    re.compile(rf"\b(?:{wrong.replace(' ', chr(92) + 's+')})\b", re.IGNORECASE): right
    for wrong, right in SUBSTITUTIONS.items()
}
# Code and addresses, not prose.
SPANS = re.compile(r"`[^`\n]*`|(?<!\S)--[\w-]+|https?://\S+|(?<=\])\([^()\s]*\)|\{[^{}]*\}|<!--.*?-->", re.DOTALL)
FENCED = re.compile(r"^(```.*?^```|    \S[^\n]*)$", re.DOTALL | re.MULTILINE)


def blank(match: re.Match) -> str:
    """White space of as many lines."""
    return " " + "\n" * match[0].count("\n") + " "


def prose_of_code(source: str) -> list[tuple[int, str]]:
    """Comments and string literals that are more than a word, with their lines."""
    found = [
        (token.start[0], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not is_code(node.value):
            found.append((node.lineno, node.value))
    return found


def is_code(text: str) -> bool:
    """Whether a string is a word or an expression, such as a type in quotes."""
    try:
        ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return " " not in text.strip()
    return True


def prose(path: Path) -> list[tuple[int, str]]:
    """Texts of a file for people, and their lines."""
    text = path.read_text(encoding="utf-8")
    return prose_of_code(text) if path.suffix == ".py" else [(1, FENCED.sub(blank, text))]


def faults(texts: list[tuple[int, str]]) -> list[str]:
    """A line for each word that has a substitute."""
    found = []
    for line, text in texts:
        readable = SPANS.sub(blank, text)
        for wrong, right in ADVICE.items():
            for match in wrong.finditer(readable):
                at = line + readable[: match.start()].count("\n")
                found.append(f"line {at}: {' '.join(match[0].split())!r}: write {right}")
    return sorted(found, key=lambda fault: int(fault.split(":")[0].removeprefix("line ")))


def files(name: str) -> list[Path]:
    path = ROOT / name
    return sorted(file for file in path.rglob("*") if file.suffix in (".py", ".md")) if path.is_dir() else [path]


@pytest.mark.parametrize("name", CLEAN)
def test_prose_follows_the_glossary(name):
    found = [f"{path.relative_to(ROOT)}, {fault}" for path in files(name) for fault in faults(prose(path))]
    assert files(name)
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('def f():\n    """Guess tokens ahead."""\n', "Guess"),
        ("x = 1  # nobody reads it\n", "nobody"),
        ('raise ValueError(f"{x}: this will not\\n  do")\n', "will not do"),
        ('help = "Of those\\nthat stand."\n', "those that"),
    ],
)
def test_check_finds_comments_docstrings_and_messages(text, word):
    assert any(repr(word) in fault for fault in faults(prose_of_code(text)))


def test_check_skips_code_spans_and_options():
    text = '"""The option `guess` of `--who`, or {what} and --prompt-of-nobody guess=left, [log](log.md#who)."""\n'
    assert faults(prose_of_code(text)) == []


def test_check_of_pages_keeps_line_numbers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```sh\nnobody\n```\n\n    whoever\n\nA race.\n")
    assert faults(prose(page)) == ["line 9: 'race': write Gumbel-max, or comparison"]


PAGES = [ROOT / name for name in CLEAN if name.endswith(".md")]


NAME = re.compile(r"([a-z][a-z_]+)(\(([\w.]+=[\w.]+(, )?)*\))?")


@pytest.mark.parametrize("page", PAGES)
def test_decoders_named_in_docs_exist(page):
    known = fewpass.RECIPES
    for span in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")):
        if (match := NAME.fullmatch(span)) is None:
            continue
        name = match[1]
        if match[2] and name in known:
            fewpass.decoder(span)
        elif "_" in name and name.rpartition("_")[0] in known:
            assert name in known, span


NEVER_FIRST = {"of", "in", "with", "for", "to", "as", "such", "what", "whether", "how", "only", "instead", "on"}


def options() -> list[tuple[str, str]]:
    """Names and help texts of all options and arguments of the command line."""
    commands = typer.main.get_command(app).commands
    return [
        (f"{name} {option.name}", option.help)
        for name, command in commands.items()
        for option in command.params
        if option.name != "help"
    ]


@pytest.mark.parametrize(("option", "text"), options(), ids=lambda value: value if len(value) < 30 else "")
def test_help_begins_with_a_noun_or_an_imperative(option, text):
    assert re.fullmatch(r"\S.*\.( \*)?( \[.*\])?", text, re.DOTALL), "a sentence ends with a period"
    first = text.split()[0].strip(",;:").lower()
    assert first not in NEVER_FIRST
