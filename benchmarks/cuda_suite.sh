#!/usr/bin/env bash
# Everything that needs one NVIDIA GPU, on a bare machine with nvcc and a CUDA build of PyTorch, without network.
# NOT RUN YET: written from the documentation of its parts, to be corrected by its first run.
#
#   bash benchmarks/cuda_suite.sh              # all stages in order
#   bash benchmarks/cuda_suite.sh decode       # one stage again
#
# Stages: kernels, tests, data, rates, train-gpt2-6m, train-mamba-6m, train-mamba2-6m, train-60m, decode, scaling.
# Each ends within 10 minutes (LIMIT seconds) or is cut off there; training stages go on where they stopped when they are
# run again. Messages go to $OUT/STAGE.log, result files to benchmarks/results/cuda and runs/; at the end logs and results
# are packed into $OUT/results.tar.gz.
#
#   PYTHON       the interpreter (default: python3)
#   OUT          logs and the archive (default: runs/cuda)
#   RESULTS      result files (default: benchmarks/results/cuda)
#   WHEELS       a folder of wheels for mamba-ssm, causal-conv1d and einops; without it they are built from SOURCES
#   SOURCES      a folder with the unpacked source trees mamba_ssm/ and causal_conv1d/
#   DATA         a prepared data folder (default: data/folk; made from music21's tunes when absent)
set -uo pipefail
cd "$(dirname "$0")/.."
SUITE=benchmarks/cuda_suite.sh # $0 may be relative to the folder that was left

PYTHON=${PYTHON:-python3}
OUT=${OUT:-runs/cuda}
DATA=${DATA:-data/folk}
LIMIT=${LIMIT:-590}
RESULTS=${RESULTS:-benchmarks/results/cuda}
STAGES=(kernels tests data rates train-gpt2-6m train-mamba-6m train-mamba2-6m train-60m decode scaling)
mkdir -p "$OUT" "$RESULTS"

# mamba-ssm's setup.py hard-codes nine architectures and ignores TORCH_CUDA_ARCH_LIST: the list is cut to this GPU's.
kernels() {
  if "$PYTHON" -c 'import mamba_ssm, causal_conv1d' 2>/dev/null; then echo "kernels are installed"; return 0; fi
  if [ -n "${WHEELS:-}" ]; then
    "$PYTHON" -m pip install --no-index --no-deps --find-links "$WHEELS" einops causal-conv1d mamba-ssm
    return
  fi
  local tree
  for tree in causal_conv1d mamba_ssm; do
    [ -d "${SOURCES:-none}/$tree" ] || { echo "error: set WHEELS, or SOURCES with $tree/" >&2; return 1; }
    "$PYTHON" benchmarks/cuda/one_architecture.py "$SOURCES/$tree/setup.py"
    MAX_JOBS=$(nproc) MAMBA_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE \
      "$PYTHON" -m pip install --no-index --no-deps --no-build-isolation "$SOURCES/$tree"
  done
}

# Only the rooms with tests for a GPU: collecting the others needs packages that an image with little else lacks.
tests() {
  "$PYTHON" -m pytest -m gpu -p no:cacheprovider --timeout 500 \
    tests/symbolic/models tests/symbolic/decode/engine tests/symbolic/training
}

data() { [ -f "$DATA/summary.json" ] || "$PYTHON" -m symbolic prepare aird oneill ryan -o "$DATA"; }

rates() {
  "$PYTHON" -m experiments.training_time --device cuda --steps 100 --repeats 5 -o "$RESULTS/training_time.json" &&
  "$PYTHON" -m benchmarks.training --device cuda --batch-size 8 --context 1024 --steps 50 --repeats 3 -o "$RESULTS/training.json"
}

train() {
  local name=$1; shift
  timeout --signal=INT --kill-after=30 "$((LIMIT - 60))" \
    "$PYTHON" -m symbolic train "configs/$name.yaml" --folder "runs/$name" --resume --data.folder "$DATA" --compile true "$@"
  local status=$?
  # 130 and 124: saved where the time ended; the stage goes on from there when it is run again.
  [ "$status" -eq 130 ] || [ "$status" -eq 124 ] || return "$status"
}

train-60m() {
  local name
  for name in gpt2-60m mamba-60m mamba2-60m; do
    LIMIT=240 train "$name" || return
  done
}

decode() {
  "$PYTHON" benchmarks/cuda/cuda_decoding.py --repeats 5 -o "$RESULTS/decoding.json"
}

scaling() {
  "$PYTHON" -m benchmarks.scaling --device cuda --steps-of torch graph --precision bfloat16 --most-gib 60 \
    -o "$RESULTS/scaling.json"
}

stage() {
  local name=$1
  echo "== $name" >&2
  local began=$SECONDS
  # A pipe, for the shell waits for tee: the log is whole before it is packed.
  case $name in
    train-60m) train-60m ;;
    train-*) train "${name#train-}" ;;
    *) "$name" ;;
  esac 2>&1 | tee "$OUT/$name.log"
  local status=${PIPESTATUS[0]}
  echo "== $name: status $status after $((SECONDS - began)) s" >&2
  return "$status"
}

if [ $# -eq 0 ]; then set -- "${STAGES[@]}"; fi
failed=()
for name in "$@"; do
  case " ${STAGES[*]} " in *" $name "*) ;; *) echo "error: no stage $name; stages: ${STAGES[*]}" >&2; exit 2 ;; esac
  if [ -z "${INSIDE:-}" ]; then
    INSIDE=1 timeout --kill-after=20 "$LIMIT" bash "$SUITE" "$name" || failed+=("$name")
  else
    stage "$name" || failed+=("$name")
  fi
done
[ -n "${INSIDE:-}" ] || tar -czf "$OUT/results.tar.gz" --exclude=results.tar.gz "$OUT" "$RESULTS"
if [ ${#failed[@]} -gt 0 ]; then echo "failed: ${failed[*]}" >&2; exit 1; fi
