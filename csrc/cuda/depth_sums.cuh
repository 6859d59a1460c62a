// What a pixel sums up of the depths at which it sees surfels, or the tangents of that.
#pragma once

#include "cuda/composite_tile.cuh"

namespace gsplat::cuda {

// Nothing for other responses.
template <class Response, bool kFlat = Response::Family::kFlat>
struct Depths {
  __device__ void blend(float, const Blend<Response>&) {}
  template <class Moving, class Motion>
  __device__ void move(const Moving&, const Dual<float>&, const Blend<Response>&, const Motion&) {}
  __device__ void store(const CompositeInputs&, const Tile&, int, const CompositeOutputs&) const {}
};

template <class Response>
struct Depths<Response, true> {
  Vec3<float> sum = {0.0f, 0.0f, 0.0f};

  __device__ void blend(float weight, const Blend<Response>& blend) {
    sum = sum + weight * Response::Family::depths(blend.at);
  }
  // Adds the tangents, see Moving of math/forward_mode.h.
  template <class Moving, class Motion>
  __device__ void move(const Moving& moving, const Dual<float>& weight, const Blend<Response>& blend,
                       const Motion& motion) {
    sum = sum + moving.depths(weight, blend.at, motion);
  }
  __device__ void store(const CompositeInputs& in, const Tile& tile, int y,
                        const CompositeOutputs& out) const {
    const PixelPlace place(in, tile, pixel_x(), y);
    if (out.depths == nullptr || !place.exists) return;
    float* depths = out.depths + place.index * kDepths;
    depths[0] = sum.x;
    depths[1] = sum.y;
    depths[2] = sum.z;
  }
};

}  // namespace gsplat::cuda
