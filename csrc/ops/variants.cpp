// Operator `variants`: what a renderer can be made of.
#include "ops/variants.h"

#include <torch/csrc/stable/library.h>

#include "ops/cpu_compositing.h"
#include "ops/responses.h"
#include "raster/payloads.h"

namespace gsplat::ops {
namespace {

// A line for each response: its name, how many extras it has, and 1 or 0 for whether it is quadratic, whether
// it integrates over the pixel, looks along rays, and is one of surfels.
std::string response_lines() {
  std::string lines;
  ResponseTraits traits;
#define GSPLAT_LINE(name, ...)                                                                        \
  traits = CpuCompositing::response_traits(ResponseName::name);                                       \
  lines += #name " " + std::to_string(traits.extras) + " " + std::to_string(traits.quadratic) + " " + \
           std::to_string(traits.integrates) + " " + std::to_string(traits.along_rays) + " " +        \
           std::to_string(traits.flat) + "\n";
  GSPLAT_RESPONSES(GSPLAT_LINE)
#undef GSPLAT_LINE
  return lines;
}

// A line for each payload: its name, how many numbers it sums up per splat, and 1 if it looks at the probe.
std::string payload_lines() {
  std::string lines;
#define GSPLAT_LINE(name, Type) \
  lines += #name " " + std::to_string(Type::kSums) + " " + std::to_string(Type::kProbed) + "\n";
  GSPLAT_PAYLOADS(GSPLAT_LINE)
#undef GSPLAT_LINE
  return lines;
}

std::string compositor_lines() {
  std::string lines;
#define GSPLAT_LINE(name, ...) lines += #name "\n";
  GSPLAT_COMPOSITORS(GSPLAT_LINE)
#undef GSPLAT_LINE
  return lines;
}

std::string variants(std::string kind) {
  if (kind == "cameras") return camera_lines();
  if (kind == "responses") return response_lines();
  if (kind == "payloads") return payload_lines();
  if (kind == "compositors") return compositor_lines();
  STD_TORCH_CHECK(false,
                  "gsplat_core: argument 'kind' must be 'cameras', 'responses', 'payloads' or 'compositors', "
                  "got '",
                  kind, "'");
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) { m.def("variants(str kind) -> str"); }

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CompositeExplicitAutograd, m) {
  m.impl("variants", TORCH_BOX(&variants));
}

}  // namespace gsplat::ops
