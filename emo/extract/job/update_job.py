"""Writes into a job folder what `--resume` was told, for those who go by it later."""

import json
import os
from dataclasses import replace

from emo.extract.job.folder import JobFolder
from emo.extract.job.resources import Resources
from emo.store.backend.commit import cannot_write, host


def update_job(
    folder: JobFolder, *, executor: str, workers: int | None, resources: Resources
) -> JobFolder:
    """The job as it runs from now on: a scheduler's tasks, its retries and `--status` read it.

    ``retries`` stay as they were: those of a scheduler count down from run to run, and its workers
    must not bear fewer and fewer deaths.

    Raises:
        StoreError: the folder cannot be written.
    """
    resources = replace(resources, retries=folder.resources.retries)
    now = replace(folder, executor=executor, workers=workers, resources=resources)
    if now == folder:
        return folder
    path = folder.path / "job.json"
    unfinished = path.with_name(f".job-{host()}-{os.getpid()}")
    try:
        document = json.loads(path.read_bytes())
        document |= {"executor": executor, "workers": workers, "resources": resources.given}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)  # a task that starts now reads the old or the new, never half
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise cannot_write(folder.path, error) from error
    return now
