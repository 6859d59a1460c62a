// The compositing kernels of CUDA as the operators call them: that of the splats' response.
#pragma once

#include "cuda/composite.h"
#include "ops/composite_arguments.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {

struct CudaCompositing {
  static ResponseTraits response_traits(ResponseName response) {
    ResponseTraits traits = {};
    GSPLAT_CUDA_CALL_FOR_RESPONSE(response, describe_response, traits);
    return traits;
  }
  static void response_levels(const Tensor& like, ResponseName response, const float* opacities,
                              const float* extras, int64_t count, float* levels) {
    const OnDevice device(like);
    GSPLAT_CUDA_CALL_FOR_RESPONSE(response, response_levels, opacities, extras, count, levels,
                                  device.stream());
  }
  static void composite(const Tensor& like, const CompositeInputs& in, const CompositeOutputs& out) {
    const OnDevice device(like);
    GSPLAT_CUDA_CALL_FOR_RESPONSE(in.response, composite, in, out, device.stream());
  }
  static void composite_backward(const Tensor& like, const CompositeInputs& in, const CompositeGradInputs& v,
                                 const CompositeGrads& out) {
    const OnDevice device(like);
    GSPLAT_CUDA_CALL_FOR_RESPONSE(in.response, composite_backward, in, v, out, device.stream());
  }
  static void composite_jvp(const Tensor& like, const CompositeInputs& in, const CompositeTangents& tangents,
                            const CompositeOutputs& out) {
    const OnDevice device(like);
    GSPLAT_CUDA_CALL_FOR_RESPONSE(in.response, composite_jvp, in, tangents, out, device.stream());
  }
  static void contributions(const Tensor& like, const CompositeInputs& in, Contribution* out) {
    const OnDevice device(like);
    GSPLAT_CUDA_CALL_FOR_RESPONSE(in.response, contributions, in, out, device.stream());
  }
  static void sightings(const Tensor& like, const CompositeInputs& in, const SightingOutputs& out) {
    const OnDevice device(like);
    GSPLAT_CUDA_CALL_FOR_RESPONSE(in.response, sightings, in, out, device.stream());
  }
  static void label_weights(const Tensor& like, const CompositeInputs& in, const LabelInputs& labels,
                            float* out) {
    const OnDevice device(like);
    GSPLAT_CUDA_CALL_FOR_RESPONSE(in.response, label_weights, in, labels, out, device.stream());
  }
};

}  // namespace gsplat::ops
