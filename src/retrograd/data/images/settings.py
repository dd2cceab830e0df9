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

    The data are a folder with a sub-folder for each class, a folder with `images` and a folder of masks of the same
    names, a folder of images alone, or a table with a column of paths (meant from the table's folder).

    `fit` says what happens to an image of other proportions: it is stretched, its middle is cropped, or it is padded
    with black. Masks hold a class number in each pixel. `grid` makes boxes the target: the image is divided into
    this many cells (rows and columns), and each object belongs to the cell that holds its centre.

    The images of a part stay decoded in memory when they take at most `memory` bytes; others are decoded anew in each
    epoch, in the background. Each file is read before training begins, so that a damaged one is reported at once or,
    with `unreadable: skip`, left out and named.

    Pixels of 16 bits are not cut to 8: they count from 0 to 255 with fractions, and values of floating-point images are
    taken as they are. Such images, and those of 8 bits that use less than a twentieth of their levels, are standardised
    by the training part unless `scale` is set; others are divided by 255.

    A folder whose sub-folders are named train, val (valid, validation, dev, eval) and test holds the parts of the data,
    each with the same folders of classes.
    """

    size: Annotated[
        Size | None,
        Words(
            "height and width of the network's input",
            more="finer; slower, more memory",
            less="coarser, faster",
            why="32 pixels",
        ),
    ] = None  # pixels; default: 32 for files, their own for arrays
    color: Annotated[Literal["rgb", "grey"], Words("colour channels: three or one", why="colours may tell")] = "rgb"
    fit: Annotated[
        Literal["stretch", "crop", "pad"],
        Words("the treatment of images with other proportions", why="nothing of the image is lost"),
    ] = "stretch"
    column: Annotated[
        str | None, Words("the column with the images' paths", why="one named path, file, image or filename")
    ] = None  # of a table: the paths; default: a column named path, file, image or filename
    masks: Annotated[str, Words("the folder or column with the masks", why="the folder beside `images`")] = (
        "masks"  # a folder beside `images`, or the column of a table that holds the masks' paths
    )
    grid: Annotated[
        Size | None,
        Words("cells of the grid for boxes as the target", more="separates close objects", less="fewer outputs"),
    ] = None
    unreadable: Annotated[
        Literal["error", "skip"],
        Words("the treatment of files that cannot be read", why="a damaged file should be seen"),
    ] = "error"
    memory: Annotated[
        ByteCount,
        Words(
            "maximum bytes of decoded images in memory",
            more="fewer images are decoded in each epoch",
            less="less memory, slower epochs",
            why="1 GiB",
        ),
    ] = 1024**3  # bytes
    max_pixels: Annotated[
        ByteCount,
        Words(
            "the size limit of an image",
            more="reads larger images",
            less="refuses more",
            why="a larger image fills memory",
        ),
    ] = 50_000_000  # of a file

    @property
    def channels(self) -> int:
        """How many numbers a pixel has."""
        return 3 if self.color == "rgb" else 1

    @property
    def cells(self) -> tuple[int, int] | None:
        """The rows and columns of the grid of boxes."""
        return None if self.grid is None else pair(self.grid)

    def rules(self) -> Iterator[Problem]:
        """Boxes move with the image only where it is stretched."""
        if self.grid is not None and self.fit != "stretch":
            yield Problem("fit", f"boxes do not follow '{self.fit}'", "choose fit: stretch")


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])
