#!/usr/bin/env bash
# Everything that needs one NVIDIA GPU, in 15 minutes, on a bare machine with a CUDA build of PyTorch and without network.
# Tried from end to end on a pretended device (tests/benchmarks/test_cuda_suite.py); NOT YET RUN on a GPU.
#
#   bash benchmarks/cuda_suite.sh              # all stages in order
#   bash benchmarks/cuda_suite.sh decode       # one stage again
#   TRIAL=1 bash benchmarks/cuda_suite.sh      # all stages at their smallest: does everything run here?
#
# Stages: kernels, data, tests, rates, decode, scaling, train-gpt2-6m, train-mamba-6m, train-mamba2-6m, train-60m.
# Each is cut off after its LIMIT; training stages share what is left of MINUTES, save where it ends, and go on from
# there when they are run again. Messages go to $OUT/STAGE.log, result files to benchmarks/results/cuda; at the end
# these and the runs (metrics, newest weights) are packed into $OUT/results.tar.gz.
#
#   MINUTES      of all stages together (default: 15; of a trial 60)
#   PYTHON       the interpreter (default: python3)
#   OUT          logs and the archive (default: runs/cuda)
#   RUNS         the training runs (default: runs)
#   RESULTS      result files (default: benchmarks/results/cuda)
#   WHEELS       a folder of wheels for mamba-ssm, causal-conv1d and einops; without it they are built from SOURCES
#   SOURCES      a folder with the unpacked source trees mamba_ssm/ and causal_conv1d/; without both the project's own
#                kernels train Mamba, and mamba_ssm's rows are 'not run'
#   DATA         a prepared data folder (default: data/folk; made from music21's tunes when absent)
#   COMPILE      train with torch.compile (default: true)
set -uo pipefail
cd "$(dirname "$0")/.."
SUITE=benchmarks/cuda_suite.sh # $0 may be relative to the folder that was left

TRIAL=${TRIAL:-}
export MINUTES=${MINUTES:-$((TRIAL ? 60 : 15))} PYTHON=${PYTHON:-python3} OUT=${OUT:-runs/cuda} RUNS=${RUNS:-runs}
export RESULTS=${RESULTS:-benchmarks/results/cuda} DATA=${DATA:-data/folk} COMPILE=${COMPILE:-true} TRIAL
STAGES=(kernels data tests rates decode scaling train-gpt2-6m train-mamba-6m train-mamba2-6m train-60m)
declare -A LIMITS=([kernels]=300 [data]=120 [tests]=120 [rates]=240 [decode]=150 [scaling]=120)
SAVING=25 # seconds that a training stage may need to save
mkdir -p "$OUT" "$RESULTS"

if [ -n "$TRIAL" ]; then
  SMALL=(gpt2-debug mamba-debug mamba2-debug) LARGE=(lstm-debug)
  TIMES=(--models "${SMALL[@]}" --steps 1 --repeats 1) TRAININGS=(--models gpt2-debug --batch-size 1 --context 64 --steps 1 --repeats 1)
  DECODINGS=(--models "${SMALL[@]}" --batches 1 --tokens 4 --repeats 1)
  SCALINGS=(--models "${SMALL[@]}" --lengths 16 --batches 1 --repeats 1) SHORT=(--train.steps 3 --train.warmup_steps 1)
else
  SMALL=(gpt2-6m mamba-6m mamba2-6m) LARGE=(gpt2-60m mamba-60m mamba2-60m)
  TIMES=(--steps 20 --repeats 3) TRAININGS=(--batch-size 8 --context 1024 --steps 20 --repeats 3)
  DECODINGS=(--repeats 3) SCALINGS=(--precision bfloat16 --most-gib 60 --most-seconds 1) SHORT=()
fi

# mamba-ssm's setup.py hard-codes nine architectures and ignores TORCH_CUDA_ARCH_LIST: the list is cut to this GPU's.
kernels() {
  if "$PYTHON" -c 'import mamba_ssm, causal_conv1d' 2>/dev/null; then echo "kernels are installed"; return 0; fi
  if [ -n "${WHEELS:-}" ]; then
    "$PYTHON" -m pip install --no-index --no-deps --find-links "$WHEELS" einops causal-conv1d mamba-ssm
    return
  fi
  [ -n "${SOURCES:-}" ] || { echo "neither WHEELS nor SOURCES: going on without mamba_ssm" >&2; return 0; }
  local tree
  for tree in causal_conv1d mamba_ssm; do
    [ -d "$SOURCES/$tree" ] || { echo "error: $SOURCES has no $tree/" >&2; return 1; }
    "$PYTHON" benchmarks/cuda/one_architecture.py "$SOURCES/$tree/setup.py"
    MAX_JOBS=$(nproc) MAMBA_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE \
      "$PYTHON" -m pip install --no-index --no-deps --no-build-isolation "$SOURCES/$tree"
  done
}

data() { [ -f "$DATA/summary.json" ] || "$PYTHON" -m symbolic prepare aird oneill ryan -o "$DATA"; }

# Only the rooms with tests for a GPU: collecting the others needs packages that an image with little else lacks.
tests() {
  "$PYTHON" -m pytest -m gpu -p no:cacheprovider --timeout 100 \
    tests/symbolic/models tests/symbolic/decode/engine tests/symbolic/training
}

rates() {
  "$PYTHON" -m experiments.training_time --device cuda "${TIMES[@]}" -o "$RESULTS/training_time.json" &&
  "$PYTHON" -m benchmarks.training --device cuda "${TRAININGS[@]}" -o "$RESULTS/training.json"
}

decode() { "$PYTHON" benchmarks/cuda/cuda_decoding.py "${DECODINGS[@]}" --data "$DATA" -o "$RESULTS/decoding.json"; }

scaling() {
  "$PYTHON" -m benchmarks.scaling --device cuda --steps-of torch graph "${SCALINGS[@]}" -o "$RESULTS/scaling.json"
}

# Interrupted as by Ctrl-C in time to save; 130 and 124 then mean: saved where the time ended.
train() {
  local seconds=$1 name=$2
  timeout --signal=INT --kill-after=$((SAVING - 5)) "$seconds" \
    "$PYTHON" -m symbolic train "configs/$name.yaml" --folder "$RUNS/$name" --resume --data.folder "$DATA" \
    --compile "$COMPILE" ${SHORT[@]+"${SHORT[@]}"}
  local status=$?
  [ "$status" -eq 130 ] || [ "$status" -eq 124 ] || return "$status"
}

train-all() {
  local seconds=$((STAGE_SECONDS / $# - SAVING)) name
  for name in "$@"; do train "$seconds" "$name" || return; done
}

stage() {
  local name=$1
  echo "== $name, up to $STAGE_SECONDS s" >&2
  local began=$SECONDS
  # A pipe, for the shell waits for tee: the log is whole before it is packed.
  case $name in
    train-gpt2-6m) train-all "${SMALL[0]}" ;;
    train-mamba-6m) train-all "${SMALL[1]}" ;;
    train-mamba2-6m) train-all "${SMALL[2]}" ;;
    train-60m) train-all "${LARGE[@]}" ;;
    *) "$name" ;;
  esac 2>&1 | tee "$OUT/$name.log"
  local status=${PIPESTATUS[0]}
  echo "== $name: status $status after $((SECONDS - began)) s" >&2
  return "$status"
}

# Seconds for a stage: its limit, or for training an equal share of what is left, and never more than that.
allowed() {
  local name=$1 n_trainings=$2 left=$((MINUTES * 60 - SECONDS)) most
  case $name in train-*) most=$((left / n_trainings)) ;; *) most=$((TRIAL ? left : LIMITS[$name])) ;; esac
  echo $((most < left ? most : left))
}

# Logs, results, and of each run what a reader needs: its record, its curve and the newest weights.
pack() {
  local paths=("$OUT"/*.log "$RESULTS") name
  for name in "${SMALL[@]}" "${LARGE[@]}"; do [ -d "$RUNS/$name" ] && paths+=("$RUNS/$name"); done
  tar -czf "$OUT/results.tar.gz" --exclude=training.safetensors --hard-dereference "${paths[@]}"
}

if [ -n "${INSIDE:-}" ]; then stage "$INSIDE"; exit; fi
if [ $# -eq 0 ]; then set -- "${STAGES[@]}"; fi
n_trainings=0
for name in "$@"; do
  case " ${STAGES[*]} " in *" $name "*) ;; *) echo "error: no stage $name; stages: ${STAGES[*]}" >&2; exit 2 ;; esac
  case $name in train-*) n_trainings=$((n_trainings + 1)) ;; esac
done
failed=()
for name in "$@"; do
  seconds=$(allowed "$name" "$n_trainings")
  case $name in train-*) n_trainings=$((n_trainings - 1)) ;; esac
  if [ "$seconds" -le "$SAVING" ]; then echo "== $name: no time left" >&2; failed+=("$name"); continue; fi
  INSIDE=$name STAGE_SECONDS=$seconds timeout --kill-after=20 "$seconds" bash "$SUITE" || failed+=("$name")
done
pack
if [ ${#failed[@]} -gt 0 ]; then echo "failed: ${failed[*]}" >&2; exit 1; fi
