// What is to know about a response besides compositing: its traits, and how far from its mean a splat is
// seen.
#include "cpu/compositing.h"
#include "cpu/parallel.h"
#include "cpu/simd/lane_block.h"
#include "math/ellipse.h"
#include "math/response/selected.h"

namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE {

using Response = GSPLAT_RESPONSE_TYPE;

void describe_response(ResponseTraits& traits) {
  traits = {Response::kExtras, Response::kQuadratic, Response::Family::kIntegrates,
            Response::Family::kAlongRays, Response::Family::kFlat};
}

void response_levels(const float* opacities, const float* extras, int64_t count, float* levels) {
  constexpr int kExtras = Response::kExtras;
  parallel_for((count + kLanes - 1) / kLanes, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * kLanes;
      const int rows = count - first < kLanes ? static_cast<int>(count - first) : kLanes;
      const auto opacity = LaneBlock<1>::load(opacities + first, 1, rows);
      ExtrasOf<Float, kExtras> of_lanes;
      if constexpr (kExtras > 0) {
        const auto block = LaneBlock<kExtras>::load(extras + first * kExtras, kExtras, rows);
        repeat<kExtras>([&](auto e) { of_lanes.values[e] = block[e]; });
      }
      LaneBlock<1> level;
      level.set(0, response_level<Response>(opacity[0], of_lanes.values));
      level.store(levels + first, 1, rows);
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE
