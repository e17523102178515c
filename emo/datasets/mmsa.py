"""Read MMSA's layout of MOSI, MOSEI and SIMS: label.csv and Raw/<video_id>/<clip_id>.mp4."""

from pathlib import PurePosixPath

from emo.datasets.dataset import DatasetCard, Download, Row, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.manifest.cells import split

TABLE, RAW = "label.csv", "Raw"
NEEDED_COLUMNS = ("video_id", "clip_id", "text", "label", "mode")
KEPT_COLUMNS = ("label", "label_T", "label_A", "label_V", "annotation")
LAYOUT = f"{TABLE} and {RAW}/<video_id>/<clip_id>.mp4"
WHERE = "https://github.com/thuiar/MMSA (its README links Google Drive and Baidu)"


def read_labels(tree: Tree, card: DatasetCard) -> Download:
    """Read a row for each segment; the segments of one video are a dialogue.

    Ids are MMSA's, ``video_id$_$clip_id``, so that they equal those in its feature files.

    Args:
        tree: the files of the download.
        card: the card of the data set, for the error message.

    Raises:
        DatasetError: there is no label.csv, or it is not MMSA's.
    """
    table = tree.find(TABLE)
    if table is None:
        raise not_here(card, tree)
    folder = (PurePosixPath(table).parent / RAW).as_posix()
    rows: list[Row] = []
    for line in tree.records(table, NEEDED_COLUMNS):
        video, clip = line["video_id"], line["clip_id"]
        try:
            mode = split(line["mode"])
        except ValueError as error:
            raise DatasetError(f"{tree.root / table}: {video}, {clip}: {error}") from error
        rows.append(
            {
                "id": f"{video}$_${clip}",
                "video": _path(tree, folder, video, clip),
                "text": line["text"],
                "split": mode,
                "dialogue": video,
                "turn": str(int(clip)) if clip.isdecimal() else "",
                **{name: line[name] for name in KEPT_COLUMNS if line.get(name)},
            }
        )
    return Download(rows)


def _path(tree: Tree, folder: str, video: str, clip: str) -> str:
    """Return the path of a clip; a clip_id 1 may mean 0001, if a spreadsheet saved the table."""
    names = [f"{folder}/{video}/{clip}.mp4", f"{folder}/{video}/{clip.zfill(4)}.mp4"]
    return next((name for name in names if name in tree.all), names[0])
