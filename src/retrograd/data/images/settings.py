"""The `images:` section: from image files to arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import ByteCount, PositiveInt
from retrograd.base.schema import Settings

Size = Annotated[PositiveInt | tuple[PositiveInt, PositiveInt], Expect("a positive integer, or [height, width]")]


@dataclass(frozen=True)
class ImageSettings(Settings):
    """How images are found and decoded.

    The data are a folder with a sub-folder for each class, a folder with sub-folders for images and for masks of the
    same names, a folder of images alone, or a table with a column of paths (relative to the table's folder).

    `fit` says what happens to images with other proportions: they are stretched, cropped to the middle, or padded with
    black. Each pixel of a mask is a class number. `grid` makes boxes the target: the image is divided into this many
    cells (rows and columns), and each object belongs to the cell with its centre.

    The images of a part stay decoded in memory if they take at most `memory` bytes; otherwise they are decoded again in
    each epoch, in the background. All files are read before training starts, so that a damaged one is reported at once
    or, with `unreadable: skip`, skipped with a warning.

    Pixels of 16 bits are not reduced to 8: they are scaled to 0 to 255 with fractions; values of floating-point images
    stay unchanged. Such images, and 8-bit images that use less than a twentieth of the levels, are standardised on the
    training part unless `scale` is set; others are divided by 255.

    A folder with sub-folders named train, val (valid, validation, dev, eval) and test contains the parts of the data,
    each with the same class folders.
    """

    size: Annotated[
        Size | None,
        Words(
            "height and width of the network's input",
            more="is finer, but slower, and needs more memory",
            less="is coarser, but faster",
            why="32 pixels: small images train fast",
        ),
    ] = None  # pixels; default: 32 for files, the actual size for arrays
    color: Annotated[Literal["rgb", "grey"], Words("colour channels: three or one", why="colours may matter")] = "rgb"
    fit: Annotated[
        Literal["stretch", "crop", "pad"],
        Words("the treatment of images with other proportions", why="nothing of the image is lost"),
    ] = "stretch"
    column: Annotated[
        str | None, Words("the column with the paths of the images", why="one named path, file, image or filename")
    ] = None
    masks: Annotated[str, Words("the folder or column with the masks", why="the folder next to `images`")] = (
        "masks"  # a folder next to `images`, or the column of a table with the paths of the masks
    )
    grid: Annotated[
        Size | None,
        Words("cells of the grid for boxes as the target", more="separates close objects", less="needs fewer outputs"),
    ] = None
    unreadable: Annotated[
        Literal["error", "skip"],
        Words("the treatment of files that cannot be read", why="damaged files should be noticed"),
    ] = "error"
    memory: Annotated[
        ByteCount,
        Words(
            "maximum bytes of decoded images in memory",
            more="decodes fewer images in each epoch",
            less="needs less memory, but epochs are slower",
            why="1 GiB: most machines have several",
        ),
    ] = 1024**3  # bytes
    max_pixels: Annotated[
        ByteCount,
        Words(
            "the size limit of an image, in pixels",
            more="reads larger images",
            less="rejects more images",
            why="larger images would fill the memory",
        ),
    ] = 50_000_000  # per file

    @property
    def channels(self) -> int:
        """The number of channels per pixel."""
        return 3 if self.color == "rgb" else 1

    @property
    def cells(self) -> tuple[int, int] | None:
        """The rows and columns of the grid for boxes."""
        return None if self.grid is None else pair(self.grid)

    def rules(self) -> Iterator[Problem]:
        """Yield the problems that concern several fields: boxes require stretched images."""
        if self.grid is not None and self.fit != "stretch":
            yield Problem("fit", f"boxes are not adapted to '{self.fit}'", "use fit: stretch")


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])
