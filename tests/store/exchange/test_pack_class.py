"""A pack for a class: nothing in it tells a hidden label, and the lecturer's file tells all."""

import csv
import io
import json
import zipfile
from collections import Counter

import numpy as np
import pytest

from emo.heads.runs.show import show
from emo.manifest.hidden import hide_labels
from emo.store import PartWriter, Recipe, Store, StreamSpec

CLASSES = ("anger", "joy", "fear", "calm")
WIDTHS = {"one": 2, "two": 3}


def splits_of(number):
    return ("train", "test")[number % 2]


def clip_id(number):
    """An id that tells the label by a word, and by its number; clips are sorted by class."""
    return f"{CLASSES[number // 40]}_{number:03}"


IDS = [clip_id(number) for number in range(160)]
SEEN = [each for number, each in enumerate(IDS) if number % 4 < 2]
"""Clips of each class and split, in an order that tells the class."""


@pytest.fixture
def school(tmp_path):
    """A store of two recipes and a manifest, whose ids, paths and order tell the label."""
    generator = np.random.default_rng(0)
    for name, width in WIDTHS.items():
        facts = {"seen": SEEN, "notes_of": {IDS[3]: "was seen"}}
        recipe = Recipe(name, {name: StreamSpec(width, "float32")}, facts=facts)
        folder = Store.create(tmp_path / "features").add_recipe(name, recipe)
        with PartWriter(folder.path, recipe) as part:
            for each in IDS[:-4]:
                part.add(each, {name: generator.normal(size=(1, width))}, source=f"hash of {each}")
            for each in IDS[-4:]:
                part.fail(each, f"{each.split('_')[0]}/{each}.mp4: no such file")
    lines = ["id,video,split,label,speaker,intensity"]
    for number, each in enumerate(IDS):
        name = CLASSES[number // 40]
        path = f"{name}/{each}.mp4"
        lines.append(f"{each},{path},{splits_of(number)},{name},p{number % 3},{number % 2}")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


PACK = ("store", "pack", "features", "--recipe", "one", "--recipe", "two", "--manifest", "m.csv")
HIDE = (*PACK, "--hide-labels", "test", "--out", "class.zip")


def rows_of(path):
    return {row["id"]: row for row in csv.DictReader(io.StringIO(path.read_text()))}


def test_a_class_gets_no_label_of_test_and_the_lecturer_gets_all(school, emo):
    code, out, err = emo(*HIDE, "--neutral-ids", "--seed", 5)
    assert code == 0, err
    assert "hidden: label, intensity of 80 clips of test" in out
    assert "labels, for the lecturer alone: class-labels.csv (order drawn with --seed 5)" in out
    assert "warning" not in out
    code, out, err = emo("store", "unpack", "class.zip")
    assert code == 0, err
    given, gold = rows_of(school / "class" / "manifest.csv"), rows_of(school / "class-labels.csv")
    assert set(given) == set(gold) == {f"c{k:04}" for k in range(1, 161)}
    assert {row["label"] == "" for row in given.values() if row["split"] == "test"} == {True}
    assert {row["label"] == "" for row in given.values() if row["split"] == "train"} == {False}
    assert all(row["original_id"].startswith(row["label"]) for row in gold.values())
    home, there = Store(school / "features"), Store(school / "class" / "features")
    for name in WIDTHS:
        ids = list(there.recipes[name].ids)
        own = [gold[each]["original_id"] for each in ids]
        np.testing.assert_array_equal(
            there.recipes[name].read(name, ids).values, home.recipes[name].read(name, own).values
        )
        recipe = there.recipes[name].recipe
        assert recipe.fingerprint == home.recipes[name].recipe.fingerprint
        assert {gold[each]["original_id"] for each in recipe.facts["seen"]} == set(SEEN)
        assert recipe.facts["seen"] == sorted(recipe.facts["seen"])
    code, out, err = emo("score", "class-labels.csv", "--gold", "class-labels.csv",
                         "--column", "prediction=label")  # fmt: skip
    assert (code, "on 80 clips of split test" in out) == (0, True), err


def test_no_byte_of_the_pack_holds_a_name_that_tells(school, emo):
    assert emo(*HIDE, "--neutral-ids", "--seed", 5)[0] == 0
    with zipfile.ZipFile(school / "class.zip") as archive:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith(".json"):
                json.loads(data)
            for each in (*IDS, *(f"hash of {one}" for one in IDS), ".mp4", "no such file"):
                assert each.encode() not in data, (name, each)
            if name != "manifest.csv":
                assert not any(each.encode() in data for each in CLASSES)


def test_what_trains_on_ids_and_order_gets_chance(school, emo):
    """Nearest train neighbours in number, row or part order know no more than chance."""
    assert emo(*HIDE, "--neutral-ids", "--seed", 5)[0] == 0
    assert emo("store", "unpack", "class.zip", "--out", "there")[0] == 0
    gold = rows_of(school / "class-labels.csv")
    folder = Store(school / "there" / "features").recipes["one"]
    orders = {
        "ids": sorted(gold),
        "rows": list(rows_of(school / "there" / "manifest.csv")),
        "parts": [*folder.ids, *folder.failures],
        "seen": list(folder.recipe.facts["seen"]),
    }
    for what, order in orders.items():
        train = [k for k, each in enumerate(order) if gold[each]["split"] == "train"]
        test = [k for k, each in enumerate(order) if gold[each]["split"] == "test"]
        right = 0
        for k in test:
            near = sorted(train, key=lambda other, k=k: abs(other - k))[:3]
            (guess, _), = Counter(gold[order[j]]["label"] for j in near).most_common(1)  # fmt: skip
            right += guess == gold[order[k]]["label"]
        assert right / len(test) < 0.45, what  # chance is 0.25, and three standard deviations 0.15


def test_names_that_tell_are_reported_when_they_stay(school, emo):
    code, out, err = emo(*HIDE, "--seed", 5)
    assert code == 0, err
    assert "warning: the label itself in the id, such as 'anger_001', tells 100%" in out
    assert "--neutral-ids renames the clips" in out
    assert emo("store", "unpack", "class.zip")[0] == 0
    order = list(rows_of(school / "class" / "manifest.csv"))
    assert sorted(order) == sorted(IDS)
    assert order != IDS
    assert set(rows_of(school / "class-labels.csv")) == set(IDS[1::2])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (lambda k, c: f"03-01-0{c}-01-{k:02}", "part 3 of the id"),
        (lambda k, c: f"{k:02}a0{'WLEA'[c]}{k % 2}", "of the id, such as"),
        (lambda k, c: f"clip{c * 40 + k // 4}", "the order of the ids"),
        (lambda k, c: f"dia{k * 7919 % 160}", None),
    ],
)
def test_parts_of_ids_that_tell_are_found(name, expected):
    cells = {}
    for number in range(160):
        which = number % 4
        row = {"split": splits_of(number // 4), "label": CLASSES[which], "text": "hi"}
        cells[name(number, which)] = row
    lines = [line for line in hide_labels(cells, ["test"], seed=1).lines if "warning" in line]
    assert len(lines) == (expected is not None), lines
    assert all(expected in line for line in lines)


def test_the_turns_of_a_dialogue_stay_in_order():
    cells = {
        f"d{dialogue}_u{turn}": {"split": "test", "label": "joy", "dialogue": f"joy{dialogue}"}
        for dialogue in range(9)
        for turn in range(3)
    }
    found = hide_labels(cells, ["test"], neutral_ids=True, seed=1)
    order = list(found.cells)
    assert order != list(cells)
    assert [each[-1] for each in order] == list("012") * 9
    assert {row["dialogue"] for row in found.cells.values()} == {f"d000{k}" for k in range(1, 10)}


def test_hiding_what_is_not_there_is_refused(school, emo):
    code, _, err = emo(*PACK, "--hide-labels", "dev", "--out", "class.zip")
    assert (code, "the manifest has the splits test, train" in err) == (1, True)
    assert emo(*PACK, "--neutral-ids", "--out", "class.zip")[0] == 2
    (school / "class-labels.csv").write_text("mine")
    code, _, err = emo(*HIDE)
    assert (code, "class-labels.csv exists" in err) == (1, True)
    assert not (school / "class.zip").exists()


def test_check_knows_that_media_stayed_at_home(school, emo):
    assert emo(*HIDE)[0] == 0
    assert emo("store", "unpack", "class.zip")[0] == 0
    code, out, _ = emo("check", "class/manifest.csv")
    assert "media stayed at home: 160 files" in out
    (line,) = [line for line in out.splitlines() if line.startswith("missing files")]
    assert line.split()[2:] == ["ok", "0"]
    assert code == 0, out


@pytest.mark.parametrize("is_neutral", [False, True])
def test_turns_and_texts_that_tell_are_reported_and_turns_counted_anew(is_neutral):
    """Gaps in the turns go with --neutral-ids; a text that names the label stays, and is named."""
    cells = {}
    for number in range(80):
        label = number // 20
        cells[f"x{number * 7919 % 80}"] = {
            "split": splits_of(number), "label": CLASSES[label], "dialogue": f"d{number // 4 % 5}",
            "turn": str(10 * (number % 4) + 100 * label), "text": f"Say it ({CLASSES[label]})",
        }  # fmt: skip
    found = hide_labels(cells, ["test"], neutral_ids=is_neutral, seed=1)
    assert any("the label itself in the text" in line for line in found.lines)
    said = [line for line in found.lines if "of the turn" in line]
    assert len(said) == 1
    assert said[0].endswith("leave that column out")
    turns = {int(row["turn"]) for row in found.cells.values() if row["dialogue"] in ("d0", "d0001")}
    assert turns == ({*range(16)} if is_neutral else {*range(0, 340, 10)} & turns)
    plain = {key: row | {"text": "Say it", "turn": str(k % 2)}
             for k, (key, row) in enumerate(sorted(cells.items()))}  # fmt: skip
    lines = hide_labels(plain, ["test"], neutral_ids=True, seed=1).lines
    assert not any("text" in line or "turn" in line for line in lines)


def test_a_manifest_of_other_clips_is_named(school, emo):
    lines = (school / "m.csv").read_text().splitlines()
    (school / "m.csv").write_text("\n".join([lines[0], *(f"other/{each}" for each in lines[1:])]))
    code, _, err = emo(*PACK, "--out", "x.zip")
    text = " ".join(err.split())
    assert code == 1
    assert "none of 160 ids of the manifest is in the store; the first: 'other/anger_000'" in text


def test_the_command_of_a_store_names_no_manifest_that_it_cannot_know(school):
    name = "work"
    (school / "features").rename(school / name)
    recipe = Recipe("logmel", {"audio": StreamSpec(2, "float32")})
    Store(school / name).add_recipe("logmel", recipe)
    command = dict(show(school / name)["recipe logmel"])["command"]
    assert command == f"emo extract MANIFEST --backbone logmel --out {name}"
