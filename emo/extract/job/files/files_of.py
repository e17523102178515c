"""Choose between a disk and a bucket for the files in a folder of a job."""

from pathlib import Path

from emo.extract.job.files.bucket import BucketFiles
from emo.extract.job.files.disk import DiskFiles
from emo.extract.job.files.job_files import JobFiles
from emo.store.backend.location import Location
from emo.store.backend.object_path import ObjectPath

Folder = Location
"""Path of a folder of a job."""


def files_of(folder: Folder) -> JobFiles:
    """Return the files of a folder of a job."""
    return BucketFiles(folder) if isinstance(folder, ObjectPath) else DiskFiles(Path(folder))
