// What is to know about a response besides compositing: its traits, and how far from its mean a splat is
// seen.
#include "cuda/composite.h"
#include "math/ellipse.h"
#include "math/response/selected.h"

namespace gsplat::cuda::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;  // an argument of kernels, which reports name by it

constexpr int kThreads = 256;

template <class Response>
__global__ void __launch_bounds__(kThreads)
    find_response_levels(const float* opacities, const float* extras, int64_t count, float* levels) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  ExtrasOf<float, Response::kExtras> of_splat;
#pragma unroll
  for (int e = 0; e < Response::kExtras; ++e) of_splat.values[e] = extras[i * Response::kExtras + e];
  levels[i] = response_level<Response>(opacities[i], of_splat.values);
}

}  // namespace

void describe_response(ResponseTraits& traits) {
  traits = {Response::kExtras, Response::kQuadratic, Response::Family::kIntegrates,
            Response::Family::kAlongRays, Response::Family::kFlat};
}

void response_levels(const float* opacities, const float* extras, int64_t count, float* levels,
                     Stream stream) {
  if (count == 0) return;
  find_response_levels<Response>
      <<<blocks_of(kThreads, count), kThreads, 0, stream>>>(opacities, extras, count, levels);
  check_launch("find_response_levels");
}

}  // namespace gsplat::cuda::GSPLAT_RESPONSE
