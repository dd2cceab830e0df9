"""Tables whose rows stay in files become the same data as in memory, to the last bit, and are cached."""

import errno
import fcntl
import itertools
import os
import random
import shutil
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from retrograd.base.errors import ConfigError, DataError, LabelError, ResourceError, RetrogradWarning
from retrograd.data.cache.entry import MANIFEST, cache_root, clear_data, kept_data, locked
from retrograd.data.dataset import load
from retrograd.data.settings import DataSettings

WORDS = ["red", "green", "blue", "n/a"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr("retrograd.data.read.delimited.MOST_BYTES", 4000)
    monkeypatch.setattr("retrograd.data.read.delimited.FEWEST_BYTES", 1000)
    monkeypatch.setattr("retrograd.data.cache.stored.BLOCK_ROWS", 70)
    monkeypatch.setattr("retrograd.data.scanned.SLICE_ROWS", 90)


@pytest.fixture
def both(tmp_path):
    """Return a function that loads data in memory and from files, compares everything, and returns the latter."""

    def loaded(path, **settings):
        plain = DataSettings(path=str(path), stream="never", **settings)
        streamed = DataSettings(path=str(path), stream="always", cache=str(tmp_path / "cache"), **settings)
        memory, files = load(plain), load(streamed)
        assert same(memory, files)
        return files

    return loaded


def same(one, other):
    facts = ("name", "task", "digest", "notes", "preprocessing", "form", "rows", "sizes")
    for fact in facts:
        assert getattr(one, fact) == getattr(other, fact), fact
    for part in ("train", "valid", "test"):
        columns, others = getattr(one, part) or {}, getattr(other, part) or {}
        assert list(columns) == list(others)
        for name, column in columns.items():
            assert (column.dtype, column.shape) == (others[name].dtype, others[name].shape)
            assert np.asarray(column).tobytes() == np.asarray(others[name]).tobytes(), (part, name)
    for part, seen in one.seen.items():
        for row in (0, len(seen.rows) // 2, len(seen.rows) - 1):
            assert seen.cells(row) == other.seen[part].cells(row)
            assert seen.place(row) == other.seen[part].place(row)
    return True


def columns(rows=400, seed=0):
    rng = random.Random(seed)
    return {
        "size": [f"{rng.gauss(0, 1):.6f}" for _ in range(rows)],
        "count": [rng.randint(0, 99_999) for _ in range(rows)],
        "price": [rng.choice((f"${rng.randint(1, 9)},{rng.randint(100, 999)}", "")) for _ in range(rows)],
        "code": [f"{rng.randint(1, 9):03d}" for _ in range(rows)],
        "day": [f"2024-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}" for _ in range(rows)],
        "colour": [rng.choice(WORDS) for _ in range(rows)],
        "large": [rng.randint(10**6, 10**9) for _ in range(rows)],
        "yes": [rng.choice(("yes", "no", "")) for _ in range(rows)],
        "key": [f"k{i}-{rng.random()}" for i in range(rows)],
        "kind": [rng.choice(("a", "b", "b", "c")) for _ in range(rows)],
    }


def write(path, table):
    rows = itertools.chain([table], zip(*table.values(), strict=True))
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(",".join(f'"{c}"' if "," in str(c) else str(c) for c in row) for row in rows) + "\n")
    return path


def test_a_table_of_every_kind_of_column_is_the_same_in_files(both, tmp_path):
    data = both(write(tmp_path / "d.csv", columns()))
    assert isinstance(data.train["x"], np.memmap)
    assert {column.kind for column in data.preprocessing.inputs.columns} == {"number", "category", "date", "boolean"}


@pytest.mark.parametrize(
    "settings",
    [
        {"target": "size", "split": {"method": "random"}},
        {"target": "kind", "missing": "drop", "categories": "embed"},
        {"target": "kind", "split": {"method": "time", "column": "day"}},
        {"target": "yes", "invalid": "missing", "kinds": {"code": "number"}},
        {"target": "kind", "weight": "count", "features": ["size", "yes"]},
    ],
)
def test_the_same_holds_for_other_settings(both, tmp_path, settings):
    both(write(tmp_path / "d.csv", columns()), **settings)


def test_a_column_of_numbers_may_turn_out_to_be_words_in_its_last_row(both, tmp_path):
    table = columns()
    table["count"][-1] = "many"
    table["size"][200] = "1e400"
    both(write(tmp_path / "d.csv", table), target="kind", kinds={"size": "category"}, invalid="missing")
    whole = {name: [1.5 if i < 395 else "1.234" for i in range(400)] for name in ("x", "z")} | {"y": [0, 1] * 200}
    both(write(tmp_path / "e.csv", whole))


def test_decimal_points_that_only_late_rows_decide_are_read_as_in_memory(both, tmp_path):
    late = [f"{i % 9}.{100 + i}" for i in range(399)] + ["0.5"]
    never = [f"{1 + i % 9}.{100 + i}" for i in range(400)]
    both(write(tmp_path / "d.csv", {"late": late, "never": never, "y": [0, 1] * 200}))


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "jsonl"])
def test_shards_are_one_table_and_a_word_of_the_last_one_is_known(both, tmp_path, kind):
    table = columns()
    table["colour"] = ["red"] * 350 + ["late"] * 50
    frame = pl.DataFrame(table)
    frame = frame.with_columns(pl.col("size").cast(pl.Float64), pl.col("day").str.to_date())
    folder = tmp_path / "shards"
    folder.mkdir()
    save = {"csv": "write_csv", "parquet": "write_parquet", "arrow": "write_ipc", "jsonl": "write_ndjson"}[kind]
    for i in range(4):  # the last one repeats rows of the first
        part = frame[100 * i : 100 * i + 100] if i < 3 else pl.concat([frame[300:], frame[:100]])
        part = part.with_columns(pl.col("day").cast(pl.String)) if kind == "jsonl" else part
        getattr(part.select(reversed(part.columns)) if i == 1 and kind != "csv" else part, save)(folder / f"{i}.{kind}")
    data = both(folder, target="kind")
    (colours,) = (column for column in data.preprocessing.inputs.columns if column.name == "colour")
    assert colours.words == ("late", "red")
    shares = np.bincount(data.train["y"].ravel().astype(int)) / data.rows["train"]
    assert np.allclose(shares, np.bincount(data.valid["y"].ravel().astype(int)) / data.rows["valid"], atol=0.02)
    both(tmp_path / "shards" / f"*.{kind}", target="kind")


def numbers_and_words(rows, seed):
    rng = np.random.default_rng(seed)
    words, classes = rng.choice(["p", "q"], rows), rng.choice(["u", "v", "w"], rows)
    return pl.DataFrame({"a": rng.normal(size=rows), "n": rng.integers(0, 9, rows), "c": words, "y": classes})


GAPS = pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("a").alias("a")
LATE = {
    "gaps": GAPS,
    "only gaps": pl.lit(None, pl.Float64).alias("a"),
    "not a number": pl.when(pl.int_range(pl.len()) == 99).then(float("nan")).otherwise("a").alias("a"),
    "fractions": (pl.col("a") * 3).alias("n"),
    "a class": pl.lit("x").alias("y"),
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("late", LATE)
def test_values_only_in_the_last_shard_are_treated_as_in_memory(both, tmp_path, late, kind):
    shards = [numbers_and_words(200, 1).sort("y"), numbers_and_words(200, 2).sort("y")]
    shards += [shards[0], numbers_and_words(100, 3).with_columns(LATE[late])]  # also with a shard that occurs twice
    folder = tmp_path / "shards"
    folder.mkdir()
    for i, shard in enumerate(shards):
        getattr(shard, {"csv": "write_csv", "parquet": "write_parquet"}[kind])(folder / f"{i}.{kind}")
    data = both(folder, target="y")
    assert data.rows == {"train": 490, "valid": 105, "test": 105}


def test_parts_with_their_own_files_are_cached_too(both, tmp_path):
    table = columns()
    write(tmp_path / "d.csv", table)
    other = columns(100, seed=1)
    other["count"][50] = 1234567
    data = both(tmp_path / "d.csv", valid_path=str(write(tmp_path / "v.csv", other)), target="kind")
    assert data.rows == {"train": 400, "valid": 100}


def test_compressed_files_stay_in_files(both, tmp_path):
    import gzip

    path = write(tmp_path / "d.csv", columns())
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    both(tmp_path / "e.csv.gz")


def test_a_bad_cell_is_reported_with_its_file_and_line(tmp_path):
    table = columns()
    table["large"][333] = "oops"
    settings = {
        "path": str(write(tmp_path / "d.csv", table)),
        "cache": str(tmp_path / "c"),
        "kinds": {"large": "number"},
    }
    for stream in ("never", "always"):
        with pytest.raises(DataError, match=r"d\.csv:335: line 335, column 'large': expected a finite number"):
            load(DataSettings(stream=stream, **settings))
    assert [path.suffix for path in (tmp_path / "c").iterdir()] == [".lock"]


def test_a_label_new_in_another_part_is_reported_with_its_file_and_line(tmp_path):
    write(tmp_path / "d.csv", columns(60))
    other = columns(200, seed=1)
    other["kind"][150] = "new"
    settings = {"valid_path": str(write(tmp_path / "v.csv", other)), "target": "kind", "cache": str(tmp_path / "c")}
    for stream in ("never", "always"):
        with pytest.raises(LabelError, match=r"v\.csv:152: line 152, column 'kind': unseen label 'new'"):
            load(DataSettings(path=str(tmp_path / "d.csv"), stream=stream, **settings))


def test_a_table_sorted_by_weight_may_have_blocks_of_weight_zero(both, tmp_path):
    table = {"x": [f"{i}.5" for i in range(200)], "w": [0] * 150 + [1] * 50, "y": [0, 1] * 100}
    data = both(write(tmp_path / "d.csv", table), target="y", weight="w")
    assert (data.train["sample_weight"][:70] == 0).all()


@pytest.mark.parametrize(
    ("row", "weight", "message"),
    [
        (150, -1, r"d\.csv:152: sample_weight: line 152 has the negative weight -1"),
        (0, 0, r"d\.csv: sample_weight: every weight is 0"),
    ],
)
def test_a_bad_weight_of_a_late_block_is_reported_with_its_line(tmp_path, row, weight, message):
    table = {"x": [f"{i}.5" for i in range(200)], "w": [abs(weight)] * 200, "y": [0, 1] * 100}
    table["w"][row] = weight
    path = write(tmp_path / "d.csv", table)
    settings = {"target": "y", "weight": "w", "split": {"method": "none"}, "cache": str(tmp_path / "c")}
    for stream in ("never", "always"):
        with pytest.raises(DataError, match=message):
            load(DataSettings(path=str(path), stream=stream, **settings))


@pytest.mark.parametrize("shards", [1, 3])
def test_a_damaged_page_is_reported_with_its_file(tmp_path, shards):
    folder = tmp_path / "shards"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(shards):
        frame = pl.DataFrame({"x": rng.normal(size=4000), "y": rng.integers(0, 2, 4000)})
        frame.write_parquet(folder / f"{i}.parquet", compression="zstd")
    path = folder / f"{shards // 2}.parquet"
    content = bytearray(path.read_bytes())
    content[40:4000] = bytes(3960)  # inside a page; the footer at the end stays intact
    path.write_bytes(content)
    settings = {"path": str(folder if shards > 1 else path), "target": "y", "cache": str(tmp_path / "c")}
    for stream in ("never", "always"):
        with pytest.raises(DataError, match=rf"{path.name}: .*cannot be read"):
            load(DataSettings(stream=stream, **settings))


@pytest.fixture
def load_cached(tmp_path, monkeypatch):
    """Return a function that loads the same table from files and returns how often it was read."""
    write(tmp_path / "shards" / "a.csv", columns(100))
    write(tmp_path / "shards" / "b.csv", columns(100, seed=1))
    counted = []
    from retrograd.data import streaming as module

    read = module.read_source
    monkeypatch.setattr(module, "read_source", lambda *given: counted.append(1) or read(*given))

    def loaded(**settings):
        settings = {"target": "kind", **settings}
        path, cache = str(tmp_path / "shards"), str(tmp_path / "cache")
        return load(DataSettings(path=path, stream="always", cache=cache, **settings)), len(counted)

    return loaded


def test_the_next_run_reads_the_cache_of_the_first_one(load_cached):
    first, reads = load_cached()
    again, more = load_cached()
    assert (reads, more) == (1, 1)
    assert same(first, again)
    assert load_cached(exclude=["size"])[1] == 2  # other settings, other columns
    assert load_cached(max_bytes=2**30)[1] == 2  # changes no number
    entries = kept_data(cache_root(again.train["x"].filename.parent.parent))
    assert entries.tables == 2


def test_a_row_is_shown_without_reading_all_others(load_cached, monkeypatch):
    (seen,) = load_cached()[0].seen.values()
    heights = []
    collect = pl.LazyFrame.collect
    monkeypatch.setattr(pl.LazyFrame, "collect", lambda scan: heights.append((cells := collect(scan)).height) or cells)
    assert len(seen.cells(3)) == 6
    assert seen.place(3)
    assert heights == [1] * 7


def test_a_changed_shard_is_read_again(load_cached, tmp_path):
    first, _ = load_cached()
    text = (tmp_path / "shards" / "b.csv").read_text()
    times = (tmp_path / "shards" / "b.csv").stat()
    (tmp_path / "shards" / "b.csv").write_text(text.replace("green", "white"))
    os.utime(tmp_path / "shards" / "b.csv", ns=(times.st_atime_ns, times.st_mtime_ns))  # with the same size
    changed, reads = load_cached()
    assert reads == 2
    assert changed.digest != first.digest
    write(tmp_path / "shards" / "c.csv", columns(100, seed=2))
    assert load_cached()[0].rows["train"] == 210


@pytest.mark.parametrize("damage", ["manifest", "cut", "missing", "kind"])
def test_damaged_entries_are_rebuilt(load_cached, damage):
    first, _ = load_cached()
    whole = np.array(first.train["x"])
    path = first.train["x"].filename
    if damage == "manifest":
        (path.parent / MANIFEST).write_text('{"key": ')
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    elif damage == "missing":
        path.unlink()
    else:
        np.save(path, np.zeros((3, 2)))
    again, reads = load_cached()
    assert reads == 2
    assert np.array_equal(again.train["x"], whole)
    assert not [*path.parent.parent.glob("*.tmp")]


def test_one_of_two_processes_writes_while_the_other_waits(load_cached, tmp_path):
    results = []
    with warnings.catch_warnings():
        threads = [threading.Thread(target=lambda: results.append(load_cached())) for _ in range(2)]
        with locked(tmp_path / "cache", "other"):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert [reads for _, reads in results] == [1, 1]
    assert same(*(data for data, _ in results))


def test_leftovers_of_a_killed_process_are_removed_by_the_next_one(load_cached, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: None)  # as after a kill, nothing is cleaned up
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "retrograd.data.streaming.write_manifest", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            load_cached()
    assert len([*(tmp_path / "cache").glob("*.tmp")]) == 1
    monkeypatch.undo()
    data = load(
        DataSettings(path=str(tmp_path / "shards"), stream="always", cache=str(tmp_path / "cache"), target="kind")
    )
    assert data.rows["train"] == 140
    assert not [*(tmp_path / "cache").glob("*.tmp")]


def test_clearing_removes_everything_that_is_not_being_written(load_cached, tmp_path):
    load_cached()
    entries = kept_data(tmp_path / "cache")
    assert (entries.tables, entries.bytes > 10_000) == (1, True)
    key = next((tmp_path / "cache").glob("*/")).name
    with locked(tmp_path / "cache", key):
        assert clear_data(tmp_path / "cache").tables == 0
    assert clear_data(tmp_path / "cache") == entries
    assert kept_data(tmp_path / "cache").tables == 0
    assert kept_data(tmp_path / "nowhere").tables == 0


def test_clearing_leaves_what_a_run_uses_until_it_ends(load_cached, tmp_path):
    data, _ = load_cached()
    (seen,) = data.seen.values()
    del data
    removed = clear_data(tmp_path / "cache")
    assert (removed.tables, removed.in_use) == (0, 1)
    assert seen.cells(3)  # read from its files only now
    del seen
    assert clear_data(tmp_path / "cache")[1::2] == (1, 0)


def test_clearing_leaves_the_folders_of_others(load_cached, tmp_path):
    load_cached()
    whole = next((tmp_path / "cache").glob("*/"))
    others = (
        "website",
        "build.tmp",
        "0123456789abcdef0123456789abcdef",
        f"{whole.name}-1-01234567.tmp",
        f"{whole.name}0",
    )
    for name in others:
        (tmp_path / "cache" / name).mkdir()
    (tmp_path / "cache" / "website" / MANIFEST).write_text((whole / MANIFEST).read_text())
    (tmp_path / "cache" / others[2] / MANIFEST).write_text('{"key": "0123456789abcdef0123456789abcdef", "parts": {}}')
    (tmp_path / "cache" / others[3] / MANIFEST).write_text("[]")
    (tmp_path / "cache" / others[4] / MANIFEST).write_text((whole / MANIFEST).read_text())
    assert clear_data(tmp_path / "cache").tables == 1
    assert {path.name for path in (tmp_path / "cache").glob("*/")} == {*others}


def test_the_least_recently_used_entries_are_removed_unless_a_run_uses_them(load_cached, tmp_path, monkeypatch):
    def folder(data):
        return data.train["x"].filename.parent

    oldest, _ = load_cached()  # which stays in use
    old, used_again = (folder(load_cached(exclude=[name])[0]) for name in ("size", "count"))
    for second, path in enumerate((used_again, folder(oldest), old)):
        os.utime(path, (1e9 + second, 1e9 + second))
    load_cached(exclude=["count"])
    total = kept_data(tmp_path / "cache").bytes
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=4 * (total - 1)))
    load_cached(exclude=["price"])
    assert (folder(oldest).exists(), old.exists(), used_again.exists()) == (True, False, True)
    assert load_cached(exclude=["count"])[1] == 4


def test_a_folder_that_cannot_be_written_to_is_reported(tmp_path):
    path = write(tmp_path / "d.csv", columns(30))
    with pytest.raises(ResourceError, match=r"(?s)cannot be written.*--cache DIR"):
        load(DataSettings(path=str(path), stream="always", cache=str(path)))


@pytest.fixture
def without_locks(monkeypatch):
    """Simulate a file system without locks, such as some network drives."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "No locks available")))


def test_without_a_cache_folder_a_table_is_read_into_memory_by_default(tmp_path, monkeypatch, without_locks):
    settings = {"path": str(write(tmp_path / "d.csv", columns(30))), "cache": str(tmp_path / "c")}
    with pytest.raises(ResourceError, match=r"c: cannot be written: No locks available; .*--cache DIR"):
        load(DataSettings(stream="always", **settings))
    monkeypatch.setattr("retrograd.data.streaming.host_bytes", lambda: 2**10)
    with pytest.warns(RetrogradWarning, match=r"read into memory.*No locks available"):
        data = load(DataSettings(**settings))
    assert same(data, load(DataSettings(path=settings["path"], stream="never")))


def test_a_read_only_cache_is_read(load_cached, monkeypatch):
    first, _ = load_cached()
    refuse = lambda *_, **__: (_ for _ in ()).throw(PermissionError(errno.EACCES, "Permission denied"))  # noqa: E731
    monkeypatch.setattr("pathlib.Path.touch", refuse)
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    again, reads = load_cached()
    assert reads == 1
    assert same(first, again)


@pytest.mark.parametrize(
    ("error", "message", "names_cache"),
    [
        (ResourceError("permission denied", where="d.csv"), "permission denied", False),
        (FileNotFoundError(errno.ENOENT, "No such file", "/d.csv"), "No such file", False),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left", True),
    ],
)
def test_errors_of_the_input_are_not_blamed_on_the_cache(load_cached, monkeypatch, error, message, names_cache):
    def read(*_):
        raise error

    monkeypatch.setattr("retrograd.data.streaming.read_source", read)
    with pytest.raises(OSError, match=message) as caught:
        load_cached()
    assert ("--cache" in str(caught.value)) == names_cache


def test_a_lack_of_memory_is_not_blamed_on_the_disk(load_cached, monkeypatch):
    def read(*_):
        raise OSError("Cannot allocate memory (os error 12)")  # as polars raises it

    monkeypatch.setattr("retrograd.data.streaming.read_source", read)
    with pytest.raises(MemoryError, match="ulimit"):
        load_cached()


def test_data_that_cannot_stay_in_files_are_reported(tmp_path):
    path = write(tmp_path / "d.csv", columns(30))
    with pytest.raises(ConfigError, match=r"(?s)data\.stream.*use plain tables"):
        load(DataSettings(path=str(path), stream="always", windows={"history": 3}))


def test_a_table_of_image_paths_is_read_into_memory(tmp_path, monkeypatch):
    for i in range(12):
        Image.new("L", (4, 4), 20 * i).save(tmp_path / f"{i}.png")
    table = {"picture": [f"{i}.png" for i in range(12)], "y": [0, 1] * 6}
    settings = {"path": str(write(tmp_path / "d.csv", table)), "cache": str(tmp_path / "c"), "target": "y"}
    with pytest.raises(
        ConfigError, match=r"data\.stream: 'picture' contains paths of images or sounds.*`stream: never`"
    ):
        load(DataSettings(stream="always", **settings))
    monkeypatch.setattr("retrograd.data.streaming.host_bytes", lambda: 2)
    auto, never = load(DataSettings(**settings)), load(DataSettings(stream="never", **settings))
    assert auto.preprocessing.inputs.kind == "images"
    assert (auto.digest, auto.notes, auto.preprocessing) == (never.digest, never.notes, never.preprocessing)
    assert [path.suffix for path in (tmp_path / "c").iterdir()] == [".lock"]


def test_image_paths_among_other_columns_stay_words_with_the_same_note(both, tmp_path):
    names = [f"{i % 3}.png" for i in range(60)]
    data = both(write(tmp_path / "d.csv", {"picture": names, "size": range(60), "y": [0, 1] * 30}))
    assert any("`images: {column: picture}`" in note for note in data.notes)


def test_tables_stay_in_files_automatically_when_memory_is_short(tmp_path, monkeypatch):
    path = write(tmp_path / "d.csv", columns())
    settings = DataSettings(path=str(path), cache=str(tmp_path / "c"))
    assert not isinstance(load(settings).train["x"], np.memmap)
    monkeypatch.setattr("retrograd.data.streaming.host_bytes", lambda: 2**20)
    assert isinstance(load(settings).train["x"], np.memmap)
