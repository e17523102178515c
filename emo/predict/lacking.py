"""Extract what stores lack of the clips to predict, with the recipes of the run."""

from collections.abc import Sequence
from dataclasses import dataclass

from emo.extract.executor import JobReport
from emo.extract.job.request import Request
from emo.extract.run import ExtractOptions, extract
from emo.heads.runs.run import Run
from emo.manifest import Manifest
from emo.predict.features import requests_of_run
from emo.store.backend.location import Location, location
from emo.store.store import Store

KEPT = ExtractOptions(changed="keep")
"""Extraction on this machine, of clips that a store has not seen."""


@dataclass(frozen=True)
class Extraction:
    """How lacking tokens are extracted."""

    weights: tuple[str, ...] = ()
    """Folders of weights on this machine, as ``recipe.weights=DIR``."""
    options: ExtractOptions = KEPT
    """How the job runs. Clips that a store has are kept, also where their media changed."""

    def extract(
        self,
        run: Run,
        manifest: Manifest,
        stores: Sequence[Location | str],
        *,
        progress: bool | None = None,
    ) -> JobReport:
        """Extract what the stores lack of the clips, each recipe into the store that holds it.

        A recipe that no store holds is written to the first store, which is made if it is not
        there.

        Args:
            run: the run, whose recipes are extracted.
            manifest: the clips.
            stores: the stores.
            progress: whether to show a bar; None: in a terminal.

        Returns:
            How the extractions ended, added up.

        Raises:
            EmoError: this machine cannot repeat a recipe, or a store has another one of its name.
        """
        total = JobReport()
        for store, requests in self._by_store(run, stores).items():
            ended = extract(manifest, store, requests, self.options, progress=progress).job
            total.add(ended.clips, ended.failures, ended.work)
            total.lost += ended.lost
            total.submitted += ended.submitted
            commands = total.worker_command, ended.worker_command  # one for each store
            total.worker_command = "; ".join(filter(None, commands))
            total.is_stopped |= ended.is_stopped
            if total.is_stopped:
                break
        return total

    def _by_store(
        self, run: Run, stores: Sequence[Location | str]
    ) -> dict[Location, list[Request]]:
        locations = [location(store) for store in stores]
        held = {each: Store(each).recipes if each.exists() else {} for each in locations}
        found: dict[Location, list[Request]] = {}
        for request in requests_of_run(run, self.weights):
            holders = [each for each in locations if request.name in held[each]]
            found.setdefault((holders or locations)[0], []).append(request)
        return found


def lacks_recipes(run: Run, stores: Sequence[Location | str]) -> bool:
    """Return whether none of the stores holds some recipe of a run."""
    held: set[str] = set()
    for store in map(location, stores):
        if store.exists():
            held |= set(Store(store).recipes)
    return not run.recipes.keys() <= held
