"""Every format of prompt files is read as its author meant it, and a mistake is named with file and line."""

import csv
import io
import json
import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fewpass.io.prompt_files import read_rows
from fewpass.io.prompt_rows import Row
from tests.damage import DEEP
from tests.properties import REPEATABLE


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Writes a file into an empty folder and reads it."""
    monkeypatch.chdir(tmp_path)

    def read(name: str, content: str | bytes) -> list[Row]:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_rows(name)

    return read


def test_text_has_one_prompt_per_line(rows):
    read = rows("a.txt", "\ufefftwo stars\r\n  caf\u00e9 \u2028 noir \r \nthree\n\n \n".encode())
    assert [(row.prompt, row.place) for row in read] == [
        ("two stars", "a.txt:1"),
        ("caf\u00e9 \u2028 noir", "a.txt:2"),
        ("three", "a.txt:4"),
    ]


def test_csv_cells_may_hold_commas_quotes_and_lines(rows):
    read = rows("a.csv", 'ID,Prompt,Negative Prompt\n1,"red, ""big"",\nround",\n2,blue , dark \n')
    assert read == [
        Row('red, "big",\nround', "a.csv:2", {"id": "1"}),
        Row("blue", "a.csv:4", {"id": "2", "negative_prompt": "dark"}),
    ]


def test_tsv_has_no_quotes(rows):
    read = rows("a.tsv", 'prompt\tseed\n"Stop" says a sign\t7\na 3" disc\t\nblue\n')
    assert [(row.prompt, row.fields) for row in read] == [
        ('"Stop" says a sign', {"seed": "7"}),
        ('a 3" disc', {}),
        ("blue", {}),
    ]


def test_json_lines_keep_their_values(rows):
    read = rows("a.jsonl", '{"prompt": "two", "seed": 7, "top_p": null, "size": [8, 8]}\n{"id": "b", "prompt": "red"}')
    assert read == [
        Row("two", "a.jsonl:1", {"seed": 7, "size": [8, 8]}),
        Row("red", "a.jsonl:2", {"id": "b"}),
    ]


def test_partiprompts_columns_become_tags(rows):
    read = rows(
        "PartiPrompts.tsv", "Prompt\tCategory\tChallenge\tNote\npeace\tAbstract\tBasic\t\nan F1\tVehicles\tBasic"
    )
    assert [(row.prompt, row.fields, row.tags) for row in read] == [
        ("peace", {}, {"category": "Abstract", "challenge": "Basic"}),
        ("an F1", {}, {"category": "Vehicles", "challenge": "Basic"}),
    ]


def test_geneval_keys_become_tags(rows):
    tags = {"tag": "counting", "include": [{"class": "bus", "count": 2}], "exclude": [{"class": "bus", "count": 3}]}
    (row,) = rows("evaluation_metadata.jsonl", json.dumps({**tags, "prompt": "a photo of two buses"}))
    assert (row.prompt, row.fields, row.tags) == ("a photo of two buses", {}, tags)


def test_captions_of_coco_are_read(rows):
    captions = [{"image_id": 9, "id": 38, "caption": "A bike. \n"}, {"image_id": 4, "id": 40, "caption": "A cat."}]
    coco = {"info": {}, "images": [{"id": 9, "file_name": "9.jpg"}], "annotations": captions}
    assert rows("captions_val.json", json.dumps(coco)) == [
        Row("A bike.", "captions_val.json: annotations[0]", {"id": 38}, {"image_id": 9, "file_name": "9.jpg"}),
        Row("A cat.", "captions_val.json: annotations[1]", {"id": 40}, {"image_id": 4}),
    ]


def written(separator: str, ending: str = "\n") -> str:
    """What Excel saves: cells quoted where they must be, empty columns and rows at the end."""
    heading = separator.join(["ID", "Prompt", "Seed", "", ""]) + ending
    a = separator.join(["a", '"two, red"', "7", "", ""]) + ending
    b = separator.join(["b", '"a 3"" disc; ""big"""', "", "", ""]) + ending
    return heading + a + b + (separator * 4 + ending) * 2


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
def test_csv_separator_is_detected(rows, separator, encoding):
    text = written(separator, "\r\n")
    if encoding.endswith("-bom"):
        text, encoding = "\ufeff" + text, encoding.removesuffix("-bom")
    read = rows("a.csv", text.encode(encoding))
    assert read == [
        Row("two, red", "a.csv:2", {"id": "a", "seed": "7"}),
        Row('a 3" disc; "big"', "a.csv:3", {"id": "b"}),
    ]


def test_csv_blanks_before_a_quoted_cell_are_skipped(rows):
    assert rows("a.csv", 'id, prompt\n1, "two stars"\n2,  "red, ""big"""\n') == [
        Row("two stars", "a.csv:2", {"id": "1"}),
        Row('red, "big"', "a.csv:3", {"id": "2"}),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", " two \n\nred \n"),
        ("a", " two \n\nred \n"),
        ("a.csv", "prompt,seed\n two ,\n\n,\n red,\n"),
        ("a.tsv", "prompt\tseed\n two \t\n\n\t\n red\n"),
        ("a.jsonl", '{"prompt": " two "}\n \n{"prompt": "red\\n"}\n\n'),
        ("a.json", '[" two ", "red\\n"]'),
        ("b.json", '[{"prompt": " two "}, {"prompt": "red\\n", "seed": null}]'),
    ],
)
def test_blank_lines_and_blanks_around_prompts_are_left_out_in_every_format(rows, name, content):
    assert [(row.prompt, row.fields) for row in rows(name, content)] == [("two", {}), ("red", {})]


def test_tsv_quotation_keeps_its_quotes(rows):
    assert rows("a.tsv", 'prompt\tid\n"Stop"\t1\n')[0].prompt == '"Stop"'


BAD = [
    ("a.yaml", "two", ["'a.yaml'", ".jsonl"]),
    ("a.txt", "", ["no prompt in 'a.txt'"]),
    ("a.txt", "\n \n", ["no prompt in 'a.txt'"]),
    ("a.txt", "prompt\ntwo", ["a.txt:1: 'prompt' is the heading of a table", ".csv"]),
    ("a.txt", "\nid;Prompt;seed\n1;two;7", ["a.txt:2: 'id;Prompt;seed' is the heading of a table"]),
    ("a.txt", '{"prompt": "two"}\n', ["a.txt:1: ", ".jsonl"]),
    ("a.txt", b"t\0w\0o\0", ["a.txt: ", "UTF-8"]),
    ("a.txt", b"two\ncaf\xe9", ["a.txt:2: ", "UTF-8"]),
    ("a.csv", "prompt,id", ["no prompt in 'a.csv'"]),
    ("a.csv", "id,caption\n1,two", ["a.csv:1: ", "'prompt'", "'id,caption'", "','"]),
    ("a.csv", "id;caption;x,y\n1;two;3", ["a.csv:1: ", "'prompt'", "'id;caption;x,y'", "';'"]),
    ("a.csv", "prompt,\nred,\ntwo,3", ["a.csv:3: a column without a name must be empty, got '3'"]),
    ("a.csv", "id;prompt\n1;two;3", ["a.csv:2: cells must be 2, separated by ';', got 3", "quoted"]),
    ("a.csv", 'prompt\n"two", three\n', ["a.csv:2: cells must be 1, separated by ',', got 2", "quoted"]),
    ("a.csv", "prompt\ntwo,\n", ["a.csv:2: cells must be 1, separated by ',', got 2", "quoted"]),
    ("a.csv", "prompt,id,ID\ntwo,3,4", ["a.csv:1: ", "two columns 'id'"]),
    ("a.csv", 'prompt,id\n"two\nlines",3\nred', ["a.csv:4: cells must be 2, separated by ',', got 1"]),
    ("a.csv", "prompt,id\ntwo,3,4", ["a.csv:2: cells must be 2, separated by ',', got 3"]),
    ("a.csv", "prompt,id\n\n ,3", ["a.csv:3: ", "blank", "''"]),
    ("a.csv", 'prompt,id\ntwo,3\n"red,4', ["a.csv:3: "]),
    ("a.tsv", "prompt\tid\ntwo\t3\t4", ["a.tsv:2: cells must be 2, separated by tabs, got 3"]),
    ("a.tsv", "id,prompt\n1,two", ["a.tsv:1: ", "'prompt'", "'id,prompt'", "tabs"]),
    ("a.tsv", "prompt\tid\n\t3", ["a.tsv:2: ", "blank", "''"]),
    ("a.tsv", 'prompt\tid\n"two, red"\t3', ["a.tsv:2: ", "quoted", ".csv"]),
    ("a.tsv", 'prompt\tid\n"""two"" red"\t3', ["a.tsv:2: ", "quoted", ".csv"]),
    ("a.tsv", 'prompt\tid\n"two\nred"\t3', ["a.tsv:2: ", "quoted", ".csv"]),
    ("a.jsonl", '{"prompt": "two"}\n{"prompt": "red"', ["a.jsonl:2: this is no JSON"]),
    ("a.jsonl", '{"prompt": "two"}\n\n{"prompt": " "}', ["a.jsonl:3: ", "blank", "' '"]),
    ("a.jsonl", '"two"', ["a.jsonl:1: ", "'two'"]),
    ("a.jsonl", "null", ["a.jsonl:1: ", "None"]),
    ("a.jsonl", DEEP, ["a.jsonl:1: JSON is nested too deeply"]),
    (
        "a.jsonl",
        '{"prompt": "two", "seed": ' + "9" * 5000 + "}",
        ["a.jsonl:1: Exceeds the limit (4300 digits)", "5000 digits"],
    ),
    ("a.jsonl", '{"prompt": "two", "top_p": 1e999}', ["a.jsonl:1: ", "range"]),
    ("a.jsonl", '{"text": "two"}', ["a.jsonl:1: ", "'prompt'", "'text'"]),
    ("a.jsonl", '{"prompt": 7}', ["a.jsonl:1: ", "7"]),
    ("a.jsonl", '{"prompt": "\\ud800"}', ["a.jsonl:1: ", r"'\ud800'"]),
    ("a.jsonl", '{"prompt": "two", "top_p": NaN}', ["a.jsonl:1: ", "range"]),
    ("a.json", '{"annotations": [', ["a.json: this is no JSON"]),
    ("a.json", "{}", ["a.json: ", "'annotations'"]),
    ("a.json", "[]", ["no prompt in 'a.json'"]),
    ("a.json", '["two", 7]', ["a.json: prompt 1: ", "7"]),
    ("a.json", '{"annotations": [{"id": 1, "image_id": 2}]}', ["a.json: annotations[0]: ", "'caption'"]),
    ("a.json", '{"annotations": [{"id": 1, "image_id": 2, "caption": " "}]}', ["a.json: annotations[0]: ", "blank"]),
]


@pytest.mark.parametrize(("name", "content", "named"), BAD)
def test_bad_files_are_named_with_their_line(rows, name, content, named):
    with pytest.raises(ValueError, match=re.escape(named[0])) as caught:
        rows(name, content)
    said = str(caught.value)
    assert all(part in said for part in named), said
    assert "\n" not in said


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.txt"):
        read_rows(tmp_path / "absent.txt")


# Whatever is written is read again.

ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
ENDINGS = st.sampled_from(["\n", "\r\n", "\r"])
LETTERS = st.one_of(
    st.sampled_from([*'""\',;|\t\n\r #=ab{\\', "\u2028", "\x85", "\x0b", "\u00a0", "\u00e9", "\U0001f980"]),
    st.characters(codec="utf-8", exclude_characters="\0\ufeff"),
)
CELLS = st.text(LETTERS, max_size=12)
COLUMNS = ["prompt", "id", "seed", "negative_prompt"]


def prompts_of(cells):
    return cells.filter(str.strip)


def one_line(cells):
    return cells.filter(lambda text: not {"\n", "\r"} & set(text))


@st.composite
def tables(draw, cells):
    """Columns in any order, one of which is the prompt, and rows of cells."""
    columns = draw(st.permutations(COLUMNS))[: draw(st.integers(1, len(COLUMNS)))]
    if "prompt" not in columns:
        columns[0] = "prompt"
    row = st.tuples(*(prompts_of(cells) if column == "prompt" else cells for column in columns))
    return columns, draw(st.lists(row, min_size=1, max_size=4))


def as_read(cell):
    """Ends of lines become one character, and blanks around a cell go."""
    return cell.replace("\r\n", "\n").replace("\r", "\n").strip()


def expected(columns, row):
    cells = {column: as_read(cell) for column, cell in zip(columns, row, strict=True) if as_read(cell)}
    return cells.pop("prompt"), cells


@pytest.fixture(scope="module")
def read_back(tmp_path_factory):
    """Writes a text into a file and reads its rows."""
    folder = tmp_path_factory.mktemp("written")

    def read(name, text, encoding="utf-8"):
        (folder / name).write_bytes(text.encode(encoding))
        found = read_rows(folder / name)
        return [(row.prompt, dict(row.fields)) for row in found], [row.place.rpartition(":")[2] for row in found]

    return read


@settings(REPEATABLE, max_examples=300)
@given(
    table=tables(CELLS),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    ending=ENDINGS,
    encoding=ENCODINGS,
)
@example((["prompt"], [('"',)]), ",", csv.QUOTE_MINIMAL, "\r\n", "utf-8")
@example((["id", "prompt"], [(" ", "a\n\n b"), ('""', "a,;|\tb")]), "|", csv.QUOTE_MINIMAL, "\r\n", "utf-16")
def test_rows_written_as_csv_are_read_back(read_back, table, separator, quoting, ending, encoding):
    columns, rows = table
    if len(columns) == 1:  # nothing tells what separates a single column
        separator = ","
    if ending != "\r\n":  # csv.writer does not see other ends of lines in a cell
        quoting = csv.QUOTE_ALL
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, quoting=quoting, lineterminator=ending)
    writer.writerow(columns)
    lines = []
    for row in rows:
        lines.append(str(1 + as_read(f".{written.getvalue()}.").count("\n")))
        writer.writerow(row)
    assert read_back("a.csv", written.getvalue(), encoding) == ([expected(columns, row) for row in rows], lines)


@settings(REPEATABLE, max_examples=200)
@given(
    table=tables(one_line(CELLS).filter(lambda cell: "\t" not in cell and not cell.strip().startswith('"'))),
    ending=ENDINGS,
    encoding=ENCODINGS,
)
def test_rows_written_as_tsv_are_read_back(read_back, table, ending, encoding):
    columns, rows = table
    text = ending.join("\t".join(row) for row in (columns, *rows))
    lines = [str(line) for line in range(2, 2 + len(rows))]
    assert read_back("a.tsv", text, encoding) == ([expected(columns, row) for row in rows], lines)


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**38), 10**38),
        st.floats(allow_nan=False, allow_infinity=False),
        CELLS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(CELLS, inner, max_size=3)),
    max_leaves=5,
)
OBJECTS = st.builds(
    lambda fields, prompt: fields | {"prompt": prompt},
    st.dictionaries(st.sampled_from(["id", "seed", "", "a b", "\u2028", "Prompt"]), JSON, max_size=3),
    prompts_of(CELLS),
)


@settings(REPEATABLE, max_examples=200)
@given(objects=st.lists(OBJECTS, min_size=1, max_size=4), ascii_only=st.booleans(), ending=ENDINGS, encoding=ENCODINGS)
def test_rows_written_as_json_are_read_back(read_back, objects, ascii_only, ending, encoding):
    kept = [{key: value for key, value in each.items() if value is not None} for each in objects]
    due = [(each.pop("prompt").strip(), each) for each in kept]
    lines = [json.dumps(each, ensure_ascii=ascii_only) for each in objects]
    numbers = [str(number) for number in range(1, 1 + len(lines))]
    assert read_back("a.jsonl", ending.join(lines), encoding) == (due, numbers)
    assert read_back("a.json", f"[{', '.join(lines)}]", encoding)[0] == due


@settings(REPEATABLE, max_examples=200)
@given(prompts=st.lists(one_line(CELLS), min_size=1, max_size=5), ending=ENDINGS, encoding=ENCODINGS)
def test_prompts_written_as_text_are_read_back(read_back, prompts, ending, encoding):
    assume(any(map(str.strip, prompts)))
    refused = re.compile(r'\s*(\{"|.*prompt)', re.IGNORECASE)  # what looks like JSON or the heading of a table
    assume(not any(map(refused.match, prompts)))
    due = [(prompt.strip(), {}) for prompt in prompts if prompt.strip()]
    numbers = [str(number) for number, prompt in enumerate(prompts, start=1) if prompt.strip()]
    assert read_back("a.txt", ending.join(prompts), encoding) == (due, numbers)
