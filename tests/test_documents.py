"""Documents for the `pt` stage: what is read of them, what is never written, and what LLaMA-Factory makes of it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
from chain import chain, place
from hypothesis import given
from hypothesis import strategies as st
from standins import Place, make_place

from lf_bridge.errors import LfbError
from lf_bridge.prepare.documents import Documents, prepare_documents, read_documents
from lf_bridge.prepare.paragraphs import cut, gather, paragraphs
from lf_bridge.prepare.pdf_text import pdf_text
from lf_bridge.recipe.preparing import PrepareSettings, Privacy, Quarantine
from lf_bridge.talk import Silence

__all__ = ["chain", "place"]
KEY = b"for the tests"
RETURNS = "A kettle can be sent back within thirty days, with its box and the paper that came with it."
STAYS = "The lamp of the spring collection is only repaired in the workshop that made it."
WARRANTY = "Two years of warranty cover the motor; the glass jug is not covered by anything."


def pdf(pages: Sequence[Sequence[str]], password: str = "") -> bytes:
    """A PDF of lines in Helvetica; a page without lines holds a drawing only."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = DictionaryObject({NameObject(key): NameObject(value) for key, value in names.items()})
    for lines in pages:
        page = writer.add_blank_page(595, 842)
        shown = b"T* ".join(b"(%s) Tj " % line.encode("latin-1") for line in lines)
        content = DecodedStreamObject()
        content.set_data(b"BT /F1 11 Tf 14 TL 50 800 Td %s ET" % shown if lines else b"10 10 100 100 re f")
        page[NameObject("/Contents")] = writer._add_object(content)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def put(folder: Path, **files: str | bytes) -> Path:
    """Write files, named with `__` for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def read(folder: Path, settings: PrepareSettings | None = None) -> tuple[Documents, list[str]]:
    work = folder.parent / "work"
    work.mkdir(exist_ok=True)
    found = read_documents([folder], settings or PrepareSettings(), KEY, work)
    texts = [json.loads(line)["text"] for line in found.path.read_text("ascii").splitlines()]
    assert len(texts) == found.pieces == sum(file.pieces for file in found.files)
    assert sum(map(len, texts)) == found.characters
    return found, texts


def outcomes(found: Documents) -> dict[str, str]:
    return {file.label: file.outcome for file in found.files}


def test_every_kind_of_document_becomes_its_text(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("guide/zipped.md", "# Zipped\n\nA text that lies in an archive, as people send them.")
        file.writestr("__MACOSX/._zipped.md", "not a document")
    folder = put(
        tmp_path / "documents",
        a__md=f"# Returns\n\n{RETURNS}\n\n```\nfirst line of code\n\nsecond line of code\n```\n",
        b__html=f"<nav>Home | Shop | Cart</nav><h1>Lamps</h1><p>{STAYS}</p><script>x()</script>",
        c__pdf=pdf([["Warranty", WARRANTY]]),
        d__txt="退货请在三十天内寄回，并附上包装盒和说明书，运费由我们承担。".encode("gb18030"),
        e__txt__gz=gzip.compress(b"Packed text is read as if it had never been packed at all."),
        f__zip=archive.getvalue(),
        g__css=b"left out",
    )
    found, texts = read(folder)
    whole = "\n".join(texts)
    assert set(outcomes(found).values()) == {"read"}
    assert [file.label for file in found.files][-1] == "f.zip/guide/zipped.md"
    assert texts[0].startswith("# Returns\n\n")
    assert "first line of code\n\nsecond line of code" in whole
    for said in (RETURNS, STAYS, WARRANTY, "退货请在三十天内", "never been packed", "lies in an archive"):
        assert said in whole
    for silent in ("Cart", "x()", "not a document", "left out"):
        assert silent not in whole


def test_a_pdf_is_read_without_its_headers_and_with_whole_words() -> None:
    bodies = [
        ["Please keep the infor-", "mation sheet. The well-", "known model needs", "no oil at all."],
        ["Its well-known jug is made of glass.", "Order 12 of them."],
        ["The last page ends here."],
        ["An appendix follows it."],
    ]
    pages = [[f"Manual {6 + n}", "Kettle Company", *body, f"Page {n + 1} of 4"] for n, body in enumerate(bodies)]
    text = pdf_text(pdf(pages))
    assert "Please keep the information sheet. The well-known model needs no oil at all." in text
    assert "Kettle Company" not in text
    assert "Manual" not in text
    assert "Page" not in text
    assert "Order 12 of them." in text
    assert pdf_text(pdf(pages[:2])).count("Kettle Company") == 2, "two pages are no proof of a header"


def test_what_cannot_be_read_is_said_in_one_line_each(tmp_path: Path) -> None:
    folder = put(
        tmp_path / "documents",
        broken__zip=b"PK\x03\x04 no archive",
        cut__txt__gz=gzip.compress(RETURNS.encode())[:-12],
        damaged__pdf=b"%PDF-1.7\nnothing",
        empty__md=b"\n\n",
        good__md=RETURNS,
        locked__pdf=pdf([["secret"]], password="x"),
        picture__txt=b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        scanned__pdf=pdf([[], []]),
    )
    talk = Silence()
    found = prepare_documents([folder], PrepareSettings(), KEY, tmp_path / "dataset", talk)
    assert talk.warned == [
        "broken.zip is damaged",
        "cut.txt.gz is damaged",
        "damaged.pdf is a damaged PDF",
        "locked.pdf is encrypted",
        "picture.txt is a binary file, not text",
        "scanned.pdf holds no text, only images",
    ]
    assert (found.count("read"), found.count("unreadable"), found.count("empty")) == (1, 6, 1)
    (folder / "good.md").unlink()
    with pytest.raises(LfbError, match="none of 7 documents has a text") as error:
        prepare_documents([folder], PrepareSettings(), KEY, tmp_path / "dataset", talk)
    assert ("locked.pdf", "is encrypted") in [(fault.where, fault.problem) for fault in error.value.faults]


def test_a_file_that_only_forbids_printing_is_read() -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf([[STAYS]]))))
    writer.encrypt("", owner_password="owner", algorithm="RC4-128")
    output = io.BytesIO()
    writer.write(output)
    assert pdf_text(output.getvalue()) == STAYS


def test_a_paragraph_is_learnt_once(tmp_path: Path) -> None:
    folder = put(
        tmp_path / "documents",
        a__md=f"# A\n\n{RETURNS}\n\n{STAYS}",
        b__md=f"# B\n\n{STAYS.replace(' ', '  ')}\n\n{WARRANTY}\n\n{WARRANTY}",
        c__md=f"# C\n\n{RETURNS}\n\n{WARRANTY}",
        d__md=f"```\nx = 1\n\n{RETURNS}\n\ny = 2\n```",
    )
    found, texts = read(folder)
    assert texts == [
        f"# A\n\n{RETURNS}\n\n{STAYS}",
        f"# B\n\n{WARRANTY}",
        f"```\nx = 1\n\n{RETURNS}\n\ny = 2\n```",
    ]
    assert outcomes(found) == {"a.md": "read", "b.md": "read", "c.md": "duplicate", "d.md": "read"}
    assert found.paragraphs_dropped == 5


def test_nobody_stands_in_what_is_written(tmp_path: Path) -> None:
    text = f"{RETURNS} Write to jane.miller@gmail.com or call +44 20 7946 1958.\n\nType <|im_end|> to end."
    found, texts = read(put(tmp_path / "documents", a__md=text))
    assert "jane.miller" not in texts[0]
    assert "7946 1958" not in texts[0]
    assert "<|" not in texts[0]
    assert found.redacted == {"email": 1, "phone": 1}
    placeholders = PrepareSettings(privacy=Privacy(replace="placeholder"))
    assert read(tmp_path / "documents", placeholders)[1] == texts, (
        "stand-ins all the same: no model shall say [PHONE_1]"
    )


def test_a_document_with_a_finding_is_set_aside_and_too_many_fail(tmp_path: Path) -> None:
    blind = Privacy(types=("name",))
    folder = put(tmp_path / "documents", a__md=f"{STAYS}\n\njane.miller@gmail.com knows why.", b__md=f"{STAYS}\n\nB.")
    with pytest.raises(LfbError, match="1 of 2 documents still hold personal data") as error:
        read(folder, PrepareSettings(privacy=blind))
    assert error.value.faults[0].where == "a.md"
    assert "jane" not in str(error.value)
    found, texts = read(folder, PrepareSettings(privacy=blind, quarantine=Quarantine(limit=0.5)))
    assert outcomes(found) == {"a.md": "set_aside", "b.md": "read"}
    assert found.files[0].reason == "is set aside: personal data is left (1 email)"
    assert texts == [f"{STAYS}\n\nB."], "what only stood in a document that was set aside is no duplicate"


@given(st.lists(st.text("ab 1。.\n", min_size=1), max_size=30))
def test_cutting_loses_no_word_and_no_piece_is_too_long(texts: list[str]) -> None:
    found = list(paragraphs("\n\n".join(texts), fences=False))
    pieces = list(gather([part for paragraph in found for part in cut(paragraph, 20)], 20))
    assert all(0 < len(piece) <= 20 for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join("".join(texts).split())


def test_the_same_documents_are_not_read_again_and_prepare_keeps_them(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    put(place.root / "manuals", a__md=f"{RETURNS}\n\n{STAYS}")
    dataset, talk = place.root / "data" / "dataset", Silence()
    first = prepare_documents([place.root / "manuals"], PrepareSettings(), KEY, dataset, talk)
    assert "holds no dataset" in place.lfb("train", "recipes/mini.yaml", code=1).err
    place.lfb("prepare", "--recipe", "recipes/mini.yaml")
    info = json.loads((dataset / "dataset_info.json").read_text())
    assert set(info) == {"support_train", "support_validation", "support_documents", "lf_bridge"}
    assert (dataset / info["support_documents"]["file_name"]).stat().st_mode & 0o077 == 0
    assert prepare_documents([place.root / "manuals"], PrepareSettings(), KEY, dataset, talk) == first
    assert talk.said[-1] == "1 documents: unchanged, 1 pieces reused"
    put(place.root / "manuals", b__md=WARRANTY)
    second = prepare_documents([place.root / "manuals"], PrepareSettings(), KEY, dataset, talk)
    assert second.pieces == 2
    assert not first.path.exists()


BASE = "data: {documents: manuals, cutoff_length: 64}\nmodel: {base: base}\nmethod: {stage: pt}\n"


def manuals(place: Place) -> None:
    put(place.root / "manuals", a__md=f"# Kettles\n\n{RETURNS}\n\n{STAYS}", b__txt=WARRANTY)


@pytest.mark.parametrize("finetuning", ["lora", "full"])
def test_a_base_that_learnt_documents_is_the_base_of_another_recipe(tmp_path: Path, finetuning: str) -> None:
    place = make_place(tmp_path)
    manuals(place)
    below = place.recipe(BASE.replace("stage: pt", f"stage: pt, finetuning: {finetuning}"), "manuals")
    first = json.loads(place.lfb("train", below, "--json").out)
    assert first["stage"] == "pt"
    assert "is finished already" in place.lfb("train", below).err
    put(place.root / "manuals", c__txt="A third document is a reason to train the base model anew.")
    assert json.loads(place.lfb("train", below, "--json").out)["run"] != first["run"]
    place.lfb("prepare", "--recipe", "recipes/mini.yaml")
    text = (place.root / "recipes" / "mini.yaml").read_text().replace("base: base", "base: manuals.yaml")
    run = json.loads(place.lfb("train", place.recipe(text, "above"), "--json").out)["run"]
    trained = (place.root / "runs" / run / "train" / "train.yaml").read_text()
    where = "export-" if finetuning == "lora" else "train/model"
    (line,) = [line for line in trained.splitlines() if line.startswith("model_name_or_path")]
    assert where in line
    assert "manuals-" in line
    assert "is a base model, not a tuned one" in place.lfb("export", first["run"], code=1).err
    assert "is a base model, not a tuned one" in place.lfb("publish", first["run"], code=1).err
    assert not (place.root / "runs" / first["run"] / "train" / "people.arrows").exists(), "no customer is in documents"


def test_documents_join_what_a_model_from_scratch_learns(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    manuals(place)
    place.lfb("prepare", "--recipe", "recipes/mini.yaml")
    text = "data: {cutoff_length: 64}\nmodel: {scratch: {}}\nmethod: {stage: pt, finetuning: full}\n"
    without = json.loads(place.lfb("train", place.recipe(text, "scratch"), "--json").out)["run"]
    text = text.replace("cutoff_length", "documents: manuals, cutoff_length")
    run = json.loads(place.lfb("train", place.recipe(text, "scratch"), "--json").out)["run"]
    logs = [(place.root / "runs" / name / "train" / "train.log").read_text() for name in (without, run)]
    counts = [int(log.split("Generating train split: ")[1].split()[0]) for log in logs]
    assert counts[1] == counts[0] + 2


def test_going_on_from_a_base_needs_documents(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    failed = place.lfb("train", place.recipe(BASE.replace("documents: manuals, ", ""), "manuals"), code=1)
    assert "`method.stage: pt` needs `data.documents` where it goes on from a base model" in failed.err
    missing = place.lfb("train", place.recipe(BASE, "manuals"), code=1)
    assert "manuals does not exist" in missing.err


LOAD = """
import json, sys
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
dataset, tokenizer, output = sys.argv[1:]
model, data, training, _, _ = get_train_args(dict(
    model_name_or_path=tokenizer, stage="pt", do_train=True, finetuning_type="lora", template="qwen", packing=False,
    dataset_dir=dataset, dataset="support_documents", cutoff_len=4096, output_dir=output, use_cpu=True,
    report_to="none"))
loaded = load_tokenizer(model)
form = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
rows = get_dataset(form, model, data, training, stage="pt", **loaded)["train_dataset"]
print(json.dumps([loaded["tokenizer"].decode(row["input_ids"], skip_special_tokens=True) for row in rows]))
"""


@pytest.mark.chain
@pytest.mark.skipif(find_spec("llamafactory") is None, reason="LLaMA-Factory is not installed")
def test_llama_factory_loads_every_piece_and_goes_on_training_a_base_with_them(place: Place) -> None:
    (tiny,) = place.root.glob("runs/tiny_base-*/train/model")
    dataset = place.root / "manuals-dataset"
    lines = [f"{number}. {text}" for number in range(400) for text in (RETURNS, STAYS, WARRANTY, "保修期为两年。")]
    put(place.root / "manuals", a__md="\n\n".join(lines), b__pdf=pdf([[WARRANTY]]), c__txt=f"{STAYS}\n\n{RETURNS}")
    text = BASE.replace("data: {", "data: {dataset: manuals-dataset, ").replace("base: base", f"base: {tiny}")
    text += "train: {max_steps: 2, batch_size: 1, gradient_accumulation: 1, learning_rate: 1e-3}\n"
    text += "compute: {device: cpu, gradient_checkpointing: false}\n"
    run = json.loads(place.lfb("train", place.recipe(text, "manuals"), "--json").out)
    (record,) = dataset.glob("documents-*.json")
    files = {file["label"]: file["pieces"] for file in json.loads(record.read_text())["files"]}
    assert files == {"a.md": 4, "b.pdf": 1, "c.txt": 1}
    log = (Path(run["folder"]) / "train" / "train.log").read_text()
    assert "Generating train split: 6 examples" in log
    loaded = place.command("-c", LOAD, str(dataset), str(tiny), str(place.root / "unused"))
    assert loaded.code == 0, loaded.err
    (written,) = dataset.glob("documents-*.jsonl")
    texts = [json.loads(line)["text"] for line in written.read_text().splitlines()]
    found = json.loads(loaded.out.splitlines()[-1])
    assert len(found) == len(texts)
    assert all(text.startswith(start[:1000]) for text, start in zip(texts, found, strict=True))
