"""Every format of prompt files is read as its author meant it, and a mistake is named with file and line."""

import json
import re

import pytest

from fewpass.prompt_files import Row, read_rows


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Writes a file into an empty folder and reads it."""
    monkeypatch.chdir(tmp_path)

    def read(name: str, content: str | bytes) -> list[Row]:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_rows(name)

    return read


def test_text_is_one_prompt_per_line(rows):
    read = rows("a.txt", "\ufefftwo stars\r\n  caf\u00e9 \u2028 noir \rthree\n\n \n".encode())
    assert [(row.prompt, row.place) for row in read] == [
        ("two stars", "a.txt:1"),
        ("caf\u00e9 \u2028 noir", "a.txt:2"),
        ("three", "a.txt:3"),
    ]


def test_csv_cells_may_hold_commas_quotes_and_lines(rows):
    read = rows("a.csv", 'ID,Prompt,Negative Prompt\n1,"red, ""big"",\nround",\n2,blue , dark \n')
    assert read == [
        Row('red, "big",\nround', "a.csv:2", {"id": "1"}),
        Row("blue ", "a.csv:4", {"id": "2", "negative_prompt": "dark"}),
    ]


def test_tsv_knows_no_quotes(rows):
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


def test_partiprompts(rows):
    read = rows(
        "PartiPrompts.tsv", "Prompt\tCategory\tChallenge\tNote\npeace\tAbstract\tBasic\t\nan F1\tVehicles\tBasic"
    )
    assert [(row.prompt, row.fields, row.tags) for row in read] == [
        ("peace", {}, {"category": "Abstract", "challenge": "Basic"}),
        ("an F1", {}, {"category": "Vehicles", "challenge": "Basic"}),
    ]


def test_geneval(rows):
    tags = {"tag": "counting", "include": [{"class": "bus", "count": 2}], "exclude": [{"class": "bus", "count": 3}]}
    (row,) = rows("evaluation_metadata.jsonl", json.dumps({**tags, "prompt": "a photo of two buses"}))
    assert (row.prompt, row.fields, row.tags) == ("a photo of two buses", {}, tags)


def test_captions_of_coco(rows):
    captions = [{"image_id": 9, "id": 38, "caption": "A bike. \n"}, {"image_id": 4, "id": 40, "caption": "A cat."}]
    coco = {"info": {}, "images": [{"id": 9, "file_name": "9.jpg"}], "annotations": captions}
    assert rows("captions_val.json", json.dumps(coco)) == [
        Row("A bike.", "captions_val.json: annotations[0]", {"id": 38}, {"image_id": 9, "file_name": "9.jpg"}),
        Row("A cat.", "captions_val.json: annotations[1]", {"id": 40}, {"image_id": 4}),
    ]


BAD = [
    ("a.yaml", "two", ["'a.yaml'", ".jsonl"]),
    ("a.txt", "", ["no prompt in 'a.txt'"]),
    ("a.txt", "\n \n", ["no prompt in 'a.txt'"]),
    ("a.txt", "two\n\nred", ["a.txt:2: the line is blank"]),
    ("a.txt", b"two\ncaf\xe9", ["a.txt:2: ", "UTF-8"]),
    ("a.csv", "prompt,id", ["no prompt in 'a.csv'"]),
    ("a.csv", "id,caption\n1,two", ["a.csv:1: ", "'prompt'", "'caption'"]),
    ("a.csv", "prompt,\ntwo,3", ["a.csv:1: column 2 has no name"]),
    ("a.csv", "prompt,id,ID\ntwo,3,4", ["a.csv:1: ", "two columns 'id'"]),
    ("a.csv", 'prompt,id\n"two\nlines",3\nred', ["a.csv:4: there are 1 cells for 2 columns"]),
    ("a.csv", "prompt,id\ntwo,3,4", ["a.csv:2: there are 3 cells for 2 columns"]),
    ("a.csv", "prompt,id\ntwo,3\n,\nred,4", ["a.csv:3: the line is blank"]),
    ("a.csv", "prompt,id\n ,3", ["a.csv:2: ", "' '"]),
    ("a.csv", 'prompt,id\ntwo,3\n"red,4', ["a.csv:3: "]),
    ("a.tsv", "prompt\tid\ntwo\t3\t4", ["a.tsv:2: there are 3 cells for 2 columns"]),
    ("a.tsv", "prompt\tid\n\ntwo\t3", ["a.tsv:2: the line is blank"]),
    ("a.jsonl", '{"prompt": "two"}\n{"prompt": "red"', ["a.jsonl:2: this is no JSON"]),
    ("a.jsonl", '{"prompt": "two"}\n\n{"prompt": "red"}', ["a.jsonl:2: the line is blank"]),
    ("a.jsonl", '"two"', ["a.jsonl:1: ", '"two"']),
    ("a.jsonl", '{"text": "two"}', ["a.jsonl:1: ", "'prompt'", "'text'"]),
    ("a.jsonl", '{"prompt": 7}', ["a.jsonl:1: ", "7"]),
    ("a.jsonl", '{"prompt": "\\ud800"}', ["a.jsonl:1: ", r"'\ud800'"]),
    ("a.jsonl", '{"prompt": "two", "seed": 1, "seed": 2}', ["a.jsonl:1: 'seed' is there twice"]),
    ("a.jsonl", '{"prompt": "two", "top_p": NaN}', ["a.jsonl:1: NaN"]),
    ("a.json", '{"annotations": [', ["a.json: this is no JSON"]),
    ("a.json", "[]", ["a.json: ", "'annotations'"]),
    ("a.json", '{"annotations": [{"id": 1, "image_id": 2}]}', ["a.json: annotations[0]: ", "'caption'"]),
    ("a.json", '{"annotations": [{"id": 1, "image_id": 2, "caption": " "}]}', ["a.json: annotations[0]: ", "''"]),
]


@pytest.mark.parametrize(("name", "content", "named"), BAD)
def test_a_mistake_is_named_with_its_place(rows, name, content, named):
    with pytest.raises(ValueError, match=re.escape(named[0])) as caught:
        rows(name, content)
    said = str(caught.value)
    assert all(part in said for part in named), said
    assert "\n" not in said


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.txt"):
        read_rows(tmp_path / "absent.txt")
