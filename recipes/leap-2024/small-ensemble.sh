#!/bin/sh
# From recipes to a submission: an ensemble of two of the 13 models, one of low and one of low + high resolution.
#
#     sh recipes/leap-2024/small-ensemble.sh OUT [--set KEY=VALUE ...]
#
# The same command again goes on where it was stopped. What is not given is made up:
#
#     LOW, HIGH      data sets of both resolutions (default: a made-up climate on grids of 384 and 5,000 columns)
#     TEST, SAMPLE   the competition's test.csv and sample_submission.csv (default: the validation rows of LOW)
#     TRAIN          how a training is started (default: subgrid train), as in "torchrun --nproc-per-node 8 -m subgrid train"
#     SIZE           "full" for the models as they were; by default they are small and train for one epoch
#
# --set goes to both trainings.
set -eu
out=${1:?say where to: sh small-ensemble.sh OUT}
shift
recipes=$(dirname "$0")
[ -z "${TEST:-}" ] || : "${SAMPLE:?goes with TEST}"

if [ -z "${LOW:-}" ]; then
    LOW=$out/low
    [ -f "$LOW/dataset.json" ] || subgrid sample "$out/raw-low" --steps 40 --columns 384
    subgrid build "$out/raw-low" "$LOW" --validation every=5
fi
if [ -z "${HIGH:-}" ]; then
    HIGH=$out/high
    [ -f "$HIGH/dataset.json" ] || subgrid sample "$out/raw-high" --steps 2 --columns 5000
    subgrid build "$out/raw-high" "$HIGH" --validation rows=500
fi
if [ -z "${TEST:-}" ]; then
    subgrid extract "$LOW" "$out/tables" --format kaggle --split validation
    TEST=$out/tables/test.csv SAMPLE=$out/tables/sample_submission.csv
fi

train() {  # RECIPE VALIDATION ARGUMENT...
    recipe=$1 validation=$2
    shift 2
    [ "${SIZE:-small}" = full ] || set -- --set model.width=64 --set model.blocks=3 --set model.head=256 \
        --set training.batch=128 --set training.epochs=1 --set training.sub_epochs=10 \
        --set "training.validation=$validation" "$@"
    ${TRAIN:-subgrid train} "$recipes/$recipe" "$@"
}
train 05-lr-3e-384dim.yaml '[{name: low}]' --data "$LOW" --out "$out/run-low" "$@"
train 13-hr-3e-nospacetime.yaml '[{name: low}, {name: high, data: high}]' \
    --data "$LOW" --data "$HIGH" --out "$out/run-low-high" "$@"

subgrid predict "$out/run-low" "$TEST" "$out/prediction-low"
subgrid predict "$out/run-low-high" "$TEST" "$out/prediction-low-high"
subgrid ensemble "$out/prediction" "low=$out/prediction-low" "high=$out/prediction-low-high" --weights low=0.35,high=0.65
subgrid submit "$out/prediction" "$SAMPLE" "$out/submission.csv"
