// What the kernels include of the compiler and of the standard library: parsed once per instruction set, see
// csrc/build_ops.py. A source includes what it uses all the same, as if this did not exist.
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>
