#!/bin/sh
# MELD text, official test split, 5 seeds, for each head given (default: linear):
#     benchmarks/meld_text.sh ../shared/data/text/MELD [HEAD ...]
set -eu
meld=$1
shift
work=$(mktemp -d)
emo manifest join --split "train=$meld/train_sent_emo.csv" --split "val=$meld/dev_sent_emo.csv" \
    --split "test=$meld/test_sent_emo.csv" --column text=Utterance --column dialogue=Dialogue_ID \
    --column turn=Utterance_ID --column speaker=Speaker --column label=Emotion --out "$work/meld.csv"
emo extract "$work/meld.csv" --backbone classic --out "$work/features"
for head in "${@:-linear}"; do
    emo fit-head "$work/meld.csv" --features "$work/features" --stream classic/text --head "$head" \
        --seeds 5 --out "$work/runs/$head"
done
rm -r "$work"
