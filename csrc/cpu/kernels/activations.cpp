// Activations: one pass over memory each, in vectors. The last few numbers of an array fill part of a vector
// and so get the same bits as all others, whatever the number of threads.
#include "cpu/activations.h"

#include <cstring>

#include "cpu/parallel.h"
#include "cpu/simd/simd.h"
#include "math/activations.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int64_t kChunk = 16384;

inline Float load_first(const float* from, int count) {
  alignas(64) float lanes[kLanes] = {};
  std::memcpy(lanes, from, sizeof(float) * count);
  return Float::load(lanes);
}
inline void store_first(Float value, float* to, int count) {
  alignas(64) float lanes[kLanes];
  value.store(lanes);
  std::memcpy(to, lanes, sizeof(float) * count);
}

// out[i] = formula(in[i]...)
template <class Formula, class... In>
void map(int64_t count, float* out, Formula formula, const In*... in) {
  parallel_for((count + kChunk - 1) / kChunk, 4, [=](int64_t first, int64_t last) {
    const int64_t end = last * kChunk < count ? last * kChunk : count;
    int64_t i = first * kChunk;
    for (; i + kLanes <= end; i += kLanes) formula(Float::load(in + i)...).store(out + i);
    if (i < end) {
      const int rest = static_cast<int>(end - i);
      store_first(formula(load_first(in + i, rest)...), out + i, rest);
    }
  });
}

}  // namespace

void scales_of_logarithms(const float* logarithms, float* scales, int64_t count) {
  map(count, scales, [](Float x) { return scale_of_logarithm(x); }, logarithms);
}

void scales_of_logarithms_backward(const float* scales, const float* v_scales, float* v, int64_t count) {
  map(count, v, [](Float s, Float v) { return scale_of_logarithm_vjp(s, v); }, scales, v_scales);
}

void opacities_of_logits(const float* logits, float* opacities, int64_t count) {
  map(count, opacities, [](Float x) { return opacity_of_logit(x); }, logits);
}

void opacities_of_logits_backward(const float* opacities, const float* v_opacities, float* v, int64_t count) {
  map(count, v, [](Float o, Float v) { return opacity_of_logit_vjp(o, v); }, opacities, v_opacities);
}

}  // namespace gsplat::GSPLAT_ISA
