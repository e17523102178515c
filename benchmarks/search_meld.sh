#!/bin/sh
# Ten queries in words that no utterance holds, to MELD's dev and test utterances, by MiniLM (a text space):
#     benchmarks/search_meld.sh ../shared/data/text/MELD [HITS.json]
# It needs pip install 'emo-pipeline[starter]'. The first ten hits of each go to HITS.json, the first three are shown.
set -eu
here=$(dirname "$0") meld=$1 hits=${2:-hits.json} work=$(mktemp -d)
emo manifest join --split "val=$meld/dev_sent_emo.csv" --split "test=$meld/test_sent_emo.csv" \
    --column text=Utterance --column dialogue=Dialogue_ID --column turn=Utterance_ID --out "$work/meld.csv"
emo extract "$work/meld.csv" --backbone minilm --out "$work/features"
emo search "$work/features" --queries "$here/search_queries.csv" --stream minilm/text \
    --manifest "$work/meld.csv" --json > "$hits"
python "$here/search_meld.py" "$work/meld.csv" "$here/search_queries.csv" "$hits"
rm -r "$work"
