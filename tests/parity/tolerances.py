"""The largest absolute differences allowed, by fixture and stage: those of the specifications.

A key is ``backbone.stage``; fp32 on a CPU unless it says otherwise.
"""

TOLERANCES = {
    "languagebind.last_hidden_state": 5e-5,
    "languagebind.hidden_states": 5e-5,
    "languagebind.pooled": 2e-5,
    "languagebind.projected": 2e-5,
    "languagebind.l2": 5e-6,
    "languagebind.scaled": 1e-4,
    "languagebind.log_mel": 1e-4,
    "languagebind.audio_pixels": 5e-5,
    "languagebind.video_pixels": 1e-5,
    "languagebind.ids": 0.0,
    "videollama.trunk": 1e-6,
    "videollama.later": 2e-5,
    "videollama.fbank": 1e-5,
    "videollama.mel": 1e-4,
    "videollama.frames": 0.0,
    "videollama.fp16": 2e-2,
    "perceiver": 2e-5,
    "vggface.pre_norm": 1e-5,
}
