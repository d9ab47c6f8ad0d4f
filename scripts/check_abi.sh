#!/usr/bin/env bash
# The C side of libfpo, as a C programmer meets it: `check_abi.sh LIBRARY OBJECTS`.
#
#   header    strict C99 and C++17
#   exports   header = symbols.txt = the library's dynamic symbols; see check_library.py
#   clients   examples/c and Tests/ABITests, built by pkg-config (and by CMake, if there is one) from
#             a staged installation, run under valgrind
set -euo pipefail
cd "$(dirname "$0")/.."
library=$1 objects=$2
stage=$PWD/build/stage clients=$PWD/build/clients
warnings=(-pedantic -Wall -Wextra -Werror -Wstrict-prototypes -Wshadow -Wconversion)

gcc -std=c99 "${warnings[@]}" -fsyntax-only -x c include/fpo.h
g++ -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c++ include/fpo.h
echo "fpo.h: C99 and C++17"

python3 scripts/symbols.py --check
python3 scripts/check_library.py "$library" "$objects"

rm -rf "$stage" "$clients"
mkdir -p "$clients"
make install DESTDIR="$stage" PREFIX=/usr >/dev/null
export PKG_CONFIG_PATH=$stage/usr/lib/pkgconfig
read -ra flags <<<"$(pkg-config --cflags --libs fpo)"

# The same library with its symbol table, which valgrind's suppressions need (its debug information
# is newer than valgrind). FPO_CPU_LEVEL=3: valgrind knows no AVX-512.
mkdir "$clients/lib"
strip --strip-debug -o "$clients/lib/$(basename "$stage"/usr/lib/libfpo.so.?)" "$objects/libfpo.so"
run() {
    FPO_CPU_LEVEL=3 OPENBLAS_NUM_THREADS=1 LD_LIBRARY_PATH=$clients/lib valgrind --quiet \
        --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
        --suppressions=Tests/ABITests/valgrind.supp "$1" >"$1.log" 2>&1 || {
        cat "$1.log"
        echo "$(basename "$1"): failed" >&2
        exit 1
    }
}

for source in examples/c/*.c Tests/ABITests/*.c; do
    program=$clients/$(basename "$source" .c)
    gcc -std=c99 -O1 -g "${warnings[@]}" "$source" -o "$program" "${flags[@]}" -lm
    run "$program"
    echo "$source: built by pkg-config, clean under valgrind"
done

if command -v cmake >/dev/null; then
    cmake -S examples/c -B "$clients/cmake" -DCMAKE_PREFIX_PATH="$stage/usr" >/dev/null
    cmake --build "$clients/cmake" >/dev/null
    echo "examples/c: built by CMake"
fi
