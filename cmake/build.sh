#!/bin/bash
# build.sh PRESET: configures where that has not been done, and builds on every processor.
set -eu
cd "$(dirname "$0")/.."
# Only for a folder that is new: CMake keeps the generator that a folder was made with.
if [ -z "${CMAKE_GENERATOR-}" ] && command -v ninja >/dev/null; then export CMAKE_GENERATOR=Ninja; fi
[ -e "build/$1/CMakeCache.txt" ] && [ -e "build/$1/CTestTestfile.cmake" ] || cmake --preset "$1"
cmake --build --preset "$1" -j "$(nproc)"
