"""The command `emo serve`: a run answers requests by HTTP."""

import os
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from emo.commands.flags.options import AllowCode, AllowHost, WeightsFolders, near
from emo.commands.flags.sections import SectionedCommand, examples
from emo.machine.table import fit_lines

TOKEN_VARIABLE = "EMO_SERVE_TOKEN"
"""Variable of the environment with the token that requests must bring."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        cls=SectionedCommand,
        epilog=examples(
            "emo serve runs/first",
            "emo serve runs/first --port 8000 --queue 128 --max-mib 20",
            "EMO_SERVE_TOKEN=… emo serve runs/first --host 0.0.0.0",
        ),
    )(serve)


def serve(
    run: Annotated[
        Path,
        Argument(
            metavar="RUN", help="A run of `emo fit-head`: a folder, or s3://….", callback=near
        ),
    ],
    host: Annotated[
        str,
        Option(
            metavar="ADDRESS",
            help="Address to listen on; any other than this machine's own needs a token, "
            f"${TOKEN_VARIABLE} or a random one that is printed.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, Option(metavar="N", help="Port; 0: a free one.")] = 8000,
    queue: Annotated[
        int, Option(metavar="N", help="Requests in hand at once; further ones get 429.")
    ] = 64,
    batch: Annotated[
        int, Option(metavar="N", help="Most requests that go through the models together, 1-16.")
    ] = 16,
    together: Annotated[
        bool,
        Option(
            "--together",
            help="Networks encode clips of several requests in one pass, for GPUs; the last "
            "bits of a probability then depend on the other requests.",
        ),
    ] = False,
    max_mib: Annotated[float, Option(metavar="N", help="Largest file in MiB.")] = 64,
    max_seconds: Annotated[float, Option(metavar="N", help="Longest clip in seconds.")] = 600,
    timeout: Annotated[
        float, Option(metavar="N", help="Seconds that a request may wait for its answer.")
    ] = 60,
    decoders: Annotated[
        int | None,
        Option(metavar="N", help="Processes that decode; default: one a core, at most 8."),
    ] = None,
    device: Annotated[
        str, Option(metavar="DEVICE", help="Device of the models: cpu, cuda, cuda:0 or auto.")
    ] = "auto",
    option: WeightsFolders = [],
    allow_host: AllowHost = [],
    allow_code: AllowCode = False,
) -> None:
    """Predict one clip a request by HTTP; the models stay loaded.

    POST a file or a text to /predict; see also /healthz, /readyz and /metrics. SIGTERM or ^C ends
    after all accepted requests are answered.
    """
    import secrets

    from emo.predict.serve.app import PredictionService
    from emo.predict.serve.limits import MIB, ServiceLimits
    from emo.predict.serve.resident import ResidentRun
    from emo.predict.serve.server import BACKLOG, is_loopback, listening_socket, serve_clips

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    limits = ServiceLimits(
        queue=queue, batch=batch, upload_bytes=int(max_mib * MIB), media_seconds=max_seconds,
        answer_seconds=timeout, decode_seconds=min(timeout, 30.0),
        decoders=decoders or min(8, cores),
    )  # fmt: skip
    listener = listening_socket(host, port)
    given = os.environ.pop(TOKEN_VARIABLE, "")  # so that no child has it
    token = given or ("" if is_loopback(host) else secrets.token_urlsafe(32))
    resident = ResidentRun(
        run, options=option, device=device, clip_bytes=limits.clip_bytes, is_together=together
    )
    service = PredictionService(
        resident, limits, token=token, hosts=allow_host, is_own_host_only=is_loopback(host)
    )
    service.warm_up()
    shown = f"[{host}]" if ":" in host else host
    lines = [f"http://{shown}:{listener.getsockname()[1]}/predict"]
    lines += [f"Authorization: Bearer {token}"] if token and not given else []
    listener.listen(BACKLOG)
    print(fit_lines("\n".join([*lines, "^C ends"])), flush=True)
    serve_clips(service, listener)
