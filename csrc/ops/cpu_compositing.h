// The CPU's compositing kernels as the operators call them: that of the splats' response.
#pragma once

#include "cpu/compositing.h"
#include "ops/composite_arguments.h"

namespace gsplat::ops {

struct CpuCompositing {
  static ResponseTraits response_traits(ResponseName response) {
    ResponseTraits traits = {};
    GSPLAT_CALL_FOR_RESPONSE(response, describe_response, traits);
    return traits;
  }
  static void response_levels(const Tensor&, ResponseName response, const float* opacities,
                              const float* extras, int64_t count, float* levels) {
    GSPLAT_CALL_FOR_RESPONSE(response, response_levels, opacities, extras, count, levels);
  }
  static void composite(const Tensor&, const CompositeInputs& in, const CompositeOutputs& out) {
    GSPLAT_CALL_FOR_RESPONSE(in.response, composite, in, out);
  }
  static void composite_backward(const Tensor&, const CompositeInputs& in, const CompositeGradInputs& v,
                                 const CompositeGrads& out) {
    check_slots(in.lists);
    GSPLAT_CALL_FOR_RESPONSE(in.response, composite_backward, in, v, out);
  }
  static void composite_jvp(const Tensor&, const CompositeInputs& in, const CompositeTangents& tangents,
                            const CompositeOutputs& out) {
    GSPLAT_CALL_FOR_RESPONSE(in.response, composite_jvp, in, tangents, out);
  }
  static void contributions(const Tensor&, const CompositeInputs& in, Contribution* out) {
    check_slots(in.lists);
    GSPLAT_CALL_FOR_RESPONSE(in.response, contributions, in, out);
  }
  static void sightings(const Tensor&, const CompositeInputs& in, const SightingOutputs& out) {
    GSPLAT_CALL_FOR_RESPONSE(in.response, sightings, in, out);
  }
  static void label_weights(const Tensor&, const CompositeInputs& in, const LabelInputs& labels, float* out) {
    check_slots(in.lists);
    GSPLAT_CALL_FOR_RESPONSE(in.response, label_weights, in, labels, out);
  }
};

}  // namespace gsplat::ops
