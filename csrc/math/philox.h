// Random numbers without a state: a function of a key and a counter, the same on every device and for any
// order of evaluation. Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
// 1, 2, 3" (2011).
#pragma once

#include "math/elementary.h"

GSPLAT_MATH_BEGIN

struct Random4 {
  uint32_t x[4];
};

// Four independent uniform 32-bit numbers.
GSPLAT_HD Random4 philox(Random4 counter, uint64_t key) {
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter.x[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter.x[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.x[1] ^ key0, static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.x[3] ^ key1,
                static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// In (0, 1]: the middle of the number's share of that range.
GSPLAT_HD float uniform(uint32_t x) {
  constexpr float kShare = 1.0f / 4294967296.0f;
  return (static_cast<float>(x) + 0.5f) * kShare;
}

// Two independent standard normal numbers from two uniform ones (Box and Muller 1958).
template <class T>
GSPLAT_HD void normals(T a, T b, T& first, T& second) {
  const T radius = sqrt(T(-1.3862943611198906) * log2(a));  // -2 ln a
  T cosine, sine;
  cos_sin_of_turns(b, cosine, sine);
  first = radius * cosine;
  second = radius * sine;
}

GSPLAT_MATH_END
