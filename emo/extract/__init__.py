"""Stage 1: decodes clips, runs frozen backbones, writes their tokens into a store."""
