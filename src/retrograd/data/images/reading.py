"""Finding images in folders, in a table of paths, or in arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.values import numbers, words
from retrograd.data.images.decoding import SUFFIXES
from retrograd.data.images.depth import LEVELS
from retrograd.data.images.rows import Box, Images
from retrograd.data.images.settings import ImageSettings
from retrograd.data.read.folders import LABEL, files_below, folder_labels
from retrograd.data.table import SHOWN, Table
from retrograd.data.tables.paths import path_column, paths_in
from retrograd.present.wording import some_of

PATH_NAMES = ("path", "file", "image", "filename")
EDGES = ("x_min", "y_min", "x_max", "y_max")
IMAGES = "images"  # sub-folder in a folder that also contains masks


def read_image_folder(folder: Path, settings: ImageSettings) -> Images:
    """Return the images in a folder, with their masks, or with the names of sub-folders as labels.

    Raises:  DataError for a folder without images, images next to class folders, or a missing mask
    """
    inner = folder / IMAGES
    masks = folder / settings.masks
    root = inner if inner.is_dir() and not files_below_only(folder) else folder
    paths = list(files_below(root, SUFFIXES))
    if not paths:
        raise DataError(f"no images (files ending in {', '.join(SUFFIXES)})", where=str(folder))
    if root is inner and masks.is_dir():
        return Images(tuple(paths), str(folder), masks=tuple(masks_of(paths, inner, masks)))
    return Images(tuple(paths), str(folder), folder_labels(paths, root))


def files_below_only(folder: Path) -> bool:
    """Return whether there are images in the folder itself."""
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir() if path.is_file())


def masks_of(paths: list[Path], images: Path, masks: Path) -> Iterator[Path]:
    """Yield the mask of each image: the file of the same name, with any suffix."""
    known = {path.relative_to(masks).with_suffix(""): path for path in files_below(masks, SUFFIXES)}
    missing = [path for path in paths if path.relative_to(images).with_suffix("") not in known]
    if missing:
        names = some_of([str(path) for path in missing], SHOWN)
        raise DataError(f"images without a mask: {names}", where=str(masks), cure="add a mask of the same name to each")
    for path in paths:
        yield known[path.relative_to(images).with_suffix("")]


def images_of_table(table: Table, settings: ImageSettings) -> Images:
    """Return the images at the paths in a table; with `grid`, each row is one object in an image.

    Raises:  DataError for a table without a column of paths, or with a row without a path
    """
    column = path_column(table, settings.column, PATH_NAMES, "images")
    paths = paths_in(table, column)
    if settings.grid is not None and set(EDGES) <= set(table.names):
        return images_with_boxes(table, paths)
    masks = paths_in(table, settings.masks) if settings.masks in table.names else None
    rest = table.frame.drop([name for name in (column, settings.masks) if name in table.names])
    others = Table(rest, table.where, table.lines, table.missing_words) if rest.width else None
    return Images(paths, table.where, others, masks)


def images_with_boxes(table: Table, paths: tuple[Path, ...]) -> Images:
    """Return each image once, with its objects; a row without edges stands for an image without objects.

    Raises:  DataError for edges that are not numbers, in the wrong order, or without a label
    """
    edges = np.column_stack([numbers(table.column(name)).values.to_numpy() for name in EDGES])
    labels = words(table.column(LABEL)).values.to_list()
    objects: dict[Path, list[Box]] = {path: [] for path in paths}
    for row, (path, edge, label) in enumerate(zip(paths, edges, labels, strict=True)):
        if np.isnan(edge).all() and label is None:
            continue
        fault = box_fault(edge, label)
        if fault:
            where, line = table.place(row)
            raise DataError(f"{line}: {fault}", where=where, cure="use x_min < x_max and y_min < y_max, in pixels")
        objects[path].append(box_of(edge, label))
    return Images(tuple(objects), table.where, objects=tuple(map(tuple, objects.values())))


def box_of(edge: np.ndarray, label: object) -> Box:
    """Return the object with these edges."""
    x_min, y_min, x_max, y_max = map(float, edge)
    return Box(x_min, y_min, x_max, y_max, str(label))


def box_fault(edge: np.ndarray, label: object) -> str:
    """Return what is wrong with a box; empty if nothing is."""
    if label is None:
        return "a box without a label"
    if not np.isfinite(edge).all():
        return f"a box without {EDGES[int(np.argmin(np.isfinite(edge)))]}"
    edges = ", ".join(f"{name} {value:g}" for name, value in zip(EDGES, edge, strict=True))
    return "" if edge[0] < edge[2] and edge[1] < edge[3] else f"a box without an area ({edges})"


def images_of_arrays(arrays: Mapping[str, np.ndarray], target: str, where: str, named: str = "y") -> Images:
    """Return the images in arrays, such as those of a .npz file: x [rows, height, width(, channels)].

    There may also be y, labels [rows] or masks [rows, height, width]; or `boxes` [rows, objects, 4] and `labels` [rows,
    objects], -1 without an object. `target` is the name of the array y, `named` that of its column.

    Raises:  DataError for other shapes, or values that are not pixels
    """
    x = as_pixels(arrays, where)
    y = arrays.get(target)
    boxes, labels = arrays.get("boxes"), arrays.get("labels")
    if boxes is not None and labels is not None:
        return Images(x, where, objects=objects_of(boxes, labels, len(x), where))
    if y is None:
        return Images(x, where)
    if len(y) != len(x):
        raise DataError(f"the arrays differ in their number of rows: x has {len(x)}, y has {len(y)}", where=where)
    if y.ndim == 3 and y.dtype.kind in "biu":
        if y.shape != x.shape[:3] or y.min() < 0 or y.max() > 255:
            message = f"expected masks of shape {x.shape[:3]} with values from 0 to 255, found shape {y.shape}"
            raise DataError(message, where=where)
        return Images(x, where, masks=y.astype(np.uint8))
    if y.ndim != 1:
        raise DataError(f"y: expected labels (rows,) or masks (rows, height, width), got {y.shape}", where=where)
    return Images(x, where, Table(pl.DataFrame({named: y.astype(str) if y.dtype.kind == "S" else y}), where))


def as_pixels(arrays: Mapping[str, np.ndarray], where: str) -> np.ndarray:
    """Return x [rows, height, width(, channels)] as uint8, or as float32 if it has more than 8 bits; see `Form`."""
    if "x" not in arrays:
        raise DataError(f"no array 'x'; have: {', '.join(arrays)}", where=where)
    x = np.asarray(arrays["x"])
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[-1] not in (1, 3, 4)) or not len(x):
        raise DataError(f"x: expected images (rows, height, width) or (rows, height, width, 3), got {x.shape}",
                        where=where)  # fmt: skip
    if x.dtype.kind == "f" and np.isfinite(x).all():
        return x.astype(np.float32)
    if x.dtype.kind not in "biu" or x.min() < 0 or x.max() > 65535:
        cure = "remove " + data_setting("images") + " to use the numbers as they are"
        expected = "finite values, or integers from 0 to 255 or 65535"
        raise DataError(f"x: expected {expected}, found {x.dtype}", where=where, cure=cure)
    return x.astype(np.uint8) if x.max() < 256 else x.astype(np.float32) / np.float32(LEVELS)


def objects_of(boxes: np.ndarray, labels: np.ndarray, rows: int, where: str) -> tuple[tuple[Box, ...], ...]:
    """Return the objects in each image."""
    if boxes.ndim != 3 or boxes.shape[::2] != (rows, 4) or labels.shape != boxes.shape[:2]:
        raise DataError(f"expected boxes ({rows}, objects, 4) and labels ({rows}, objects), got {boxes.shape} and "
                        f"{labels.shape}", where=where)  # fmt: skip
    for row, column in np.argwhere(labels >= 0):
        fault = box_fault(boxes[row, column], labels[row, column])
        if fault:
            raise DataError(f"row {row}: {fault}", where=where)
    return tuple(
        tuple(box_of(box, label) for box, label in zip(edges, named, strict=True) if label >= 0)
        for edges, named in zip(boxes, labels, strict=True)
    )
