// Loops that do nothing but saturate one resource.
#include "cpu/ceiling.h"

#include "cpu/parallel.h"
#include "cpu/simd/simd.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// Enough independent chains to hide the latency of a multiply-add on two units; with two constants they fit
// into the sixteen registers of AVX2.
constexpr int kChains = 12;

float run_chains(int64_t rounds) {
  // Unknown to the compiler, and such that the numbers stay near one.
  volatile float seed = 0.5f;
  const Float factor(seed), summand(1.0f - seed);
  Float chains[kChains];
  for (int c = 0; c < kChains; ++c) chains[c] = Float(1.0f + 0.01f * static_cast<float>(c));
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) chains[c] = fma(chains[c], factor, summand);
  }
  Float total(0.0f);
  for (int c = 0; c < kChains; ++c) total += chains[c];
  return sum(total);
}

}  // namespace

void multiply_adds(int64_t rounds, double& operations) {
  const int64_t threads = thread_count();
  parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      volatile float result = run_chains(rounds);
      (void)result;
    }
  });
  operations = 2.0 * kLanes * kChains * static_cast<double>(rounds) * static_cast<double>(threads);
}

void triad(const float* a, const float* b, float* out, int64_t count) {
  const Float three(3.0f);
  parallel_for(count / kLanes, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kLanes; i < end * kLanes; i += kLanes) {
      fma(three, Float::load(b + i), Float::load(a + i)).store(out + i);
    }
  });
  for (int64_t i = count / kLanes * kLanes; i < count; ++i) out[i] = a[i] + 3.0f * b[i];
}

}  // namespace gsplat::GSPLAT_ISA
