"""Submit deploy/ray-job.yaml to a Ray cluster: `python deploy/ray_job.py http://HEAD:8265`.

Credentials of the bucket are set on the nodes, not here: a job's environment is shown on Ray's
dashboard. Needs the extra ``ray`` with Ray's own client (`pip install 'ray[default]'`), and PyYAML.
"""

import sys
from pathlib import Path

import yaml


def main(address: str) -> None:
    """Submit the job and print its id, by which `ray job logs` and `ray job stop` find it."""
    from ray.job_submission import JobSubmissionClient

    job = yaml.safe_load(Path(__file__).with_name("ray-job.yaml").read_text(encoding="utf-8"))
    print(JobSubmissionClient(address).submit_job(**job))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected the address of the cluster's dashboard, such as http://HEAD:8265")
    main(sys.argv[1])
