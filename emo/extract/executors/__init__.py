"""One file an executor: where the parts of a job run. Contract: `emo.extract.executor`."""
