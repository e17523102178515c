#!/bin/sh
# What the turns around a turn are worth, on MELD and ECF text, 5 seeds, the same head with and
# without its LSTM over the dialogue; paired bootstrap over dialogues:
#     benchmarks/dialogue_context.sh ../shared/data/text/MELD ../shared/data/text/ECF
# ECF's published test is not always at hand: its dev dialogues are the test here, and val is cut
# from train.
set -eu
meld=$1 ecf=$2
work=$(mktemp -d)
fit() { # name, context, more options
    name=$1 context=$2
    shift 2
    emo fit-head "$work/$name.csv" --features "$work/$name" --stream classic/text \
        --head dialogue_bilstm -o context="$context" --seeds 5 --epochs 20 --batch-size 16 \
        --patience 5 --out "$work/runs/$name-$context" "$@"
}
emo dataset meld "$meld" --out "$work/meld.csv"
emo extract "$work/meld.csv" --backbone classic --out "$work/meld"
for context in none lstm; do fit meld $context; done
emo compare --pair "$work/runs/meld-none" "$work/runs/meld-lstm"

emo dataset ecf "$ecf" --partial --out "$work/ecf-published.csv"
awk -F, 'NR > 1 { sub(/,val,/, ",test,") } 1' "$work/ecf-published.csv" > "$work/ecf.csv"
emo extract "$work/ecf.csv" --backbone classic --out "$work/ecf"
for context in none lstm; do
    fit ecf $context --target emotion --target is_cause --target cause --task cause=pairs
done
for target in emotion is_cause cause; do
    emo compare --pair "$work/runs/ecf-none" "$work/runs/ecf-lstm" --target $target
done
rm -r "$work"
