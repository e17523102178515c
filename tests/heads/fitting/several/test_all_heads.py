"""`--head all`: which heads are fitted, how they are ranked, and what is said of the others."""

import csv

import pytest

from emo.errors import EmoError
from emo.heads.fitting.several import all_heads
from emo.heads.fitting.several.all_heads import fit_all, heads_of
from emo.heads.fitting.several.options import options_of_heads
from emo.heads.fitting.several.ranked import val_score
from emo.heads.runs.files import read_document

pytestmark = pytest.mark.usefixtures("without_plots")


def options(*heads, **given):
    given = {"epochs": 2, "threads": 1, **given}
    own = ("linear.fusion=late", "linear.solver=ridge")  # quick
    late = own if len(heads) > 1 and "linear" in heads else ()
    words = {"targets": (), "tasks": (), "weights": (), "option": given.pop("option", late)}
    return options_of_heads(given, heads, **words)


def test_heads_that_do_not_fit_are_skipped_and_a_failing_one_stops_no_other(
    made, tmp_path, monkeypatch
):
    manifest, store = made
    real = all_heads.fit_head

    def fit_head(*words, **named):
        if words[3].head == "attention_pool":
            raise ZeroDivisionError("of the plugin")
        return real(*words, **named)

    monkeypatch.setattr(all_heads, "fit_head", fit_head)
    names = ("attention_pool", "linear", "mean_pool", "joint")
    found = fit_all(manifest, [store], tmp_path / "runs", options(*names))
    assert {each.head: each.status for each in found.tried} == {
        "attention_pool": "failed", "linear": "fitted", "mean_pool": "fitted", "joint": "skipped",
    }  # fmt: skip
    assert found.exit_code == 3
    reasons = "\n".join(found.reasons())
    assert "attention_pool: failed: of the plugin (ZeroDivisionError)" in reasons
    assert "joint: skipped: head joint reads whole dialogues, and no clip has one" in reasons
    assert "linear: it is solved, not trained by steps: --epochs not used" in reasons
    scores = [val_score(each.run)[1] for each in found.ranked]
    assert scores == sorted(scores, reverse=True)
    assert found.looks == 2
    assert "test was looked at under 2 settings" in found.table()
    assert found.table().count("val's choice") == 2  # in the table, and in the line below it
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"linear", "mean_pool"}


def test_the_score_on_val_is_that_of_the_rounds_that_were_kept(made, tmp_path):
    manifest, store = made
    found = fit_all(manifest, [store], tmp_path, options("mean_pool", seeds=2, epochs=4))
    run = found.ranked[0].run
    mean = read_document(run)["metrics"]["val"]["mean"]["weighted_f1"]
    assert val_score(run) == ("weighted_f1", pytest.approx(mean, abs=1e-5))
    with (run / "history.csv").open() as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"0", "1"}


def test_a_forecast_above_the_limit_skips_a_head(made, tmp_path, monkeypatch):
    manifest, store = made
    minutes = {"linear": 0.5, "mean_pool": 12.34}
    monkeypatch.setattr(
        all_heads, "forecast_minutes", lambda request, data: minutes[request.options.head]
    )
    found = fit_all(manifest, [store], tmp_path, options(*minutes), most_minutes=10)
    assert [each.head for each in found.ranked] == ["linear"]
    assert "mean_pool: skipped: it would take 12.3 minutes at most, more than 10" in found.table()
    with pytest.raises(EmoError, match="no head was fitted: mean_pool: skipped: it would"):
        fit_all(manifest, [store], tmp_path / "x", options("mean_pool"), most_minutes=10)


def test_the_forecast_grows_with_epochs_and_seeds(made):
    from emo.heads.fitting.fit import read_request_data
    from emo.heads.fitting.request import fit_request
    from emo.heads.fitting.several.forecast import forecast_minutes

    manifest, store = made
    few, many = (options("mean_pool", epochs=n, seeds=s)["mean_pool"] for n, s in ((2, 1), (50, 8)))
    requests = [fit_request(manifest, [store], None, each) for each in (few, many)]
    data = read_request_data(requests[0])
    short, long = (forecast_minutes(each, data) for each in requests)
    assert 0 < short * 5 < long < 60


def test_finished_runs_are_kept_by_resume(made, tmp_path, monkeypatch):
    manifest, store = made
    asked = options("linear", "mean_pool")
    first = fit_all(manifest, [store], tmp_path / "runs", asked)
    fitted = []
    monkeypatch.setattr(all_heads, "fit_head", lambda *words, **_: fitted.append(words[3].head))
    again = fit_all(manifest, [store], tmp_path / "runs", asked, resume=True)
    assert fitted == []
    assert again.table() == first.table()


def test_names_of_heads_and_their_options():
    assert len(heads_of(["all", "linear"])) == len(heads_of(["all"])) > 8
    with pytest.raises(EmoError, match="did you mean 'linear'"):
        heads_of(["liner"])
    found = options("linear", "mean_pool", option=["linear.fusion=early"])
    assert dict(found["linear"].head_options) == {"fusion": "early"}
    assert not found["mean_pool"].head_options
    with pytest.raises(EmoError, match="say which of linear, mean_pool"):
        options("linear", "mean_pool", option=["fusion=early"])
