// The responses of raster/variants.h by their names.
#pragma once

#include <string>

#include "ops/checks.h"
#include "raster/variants.h"

namespace gsplat::ops {

// For messages.
inline std::string response_names() {
  std::string names;
#define GSPLAT_NAME(name, ...) names += names.empty() ? "'" #name "'" : ", '" #name "'";
  GSPLAT_RESPONSES(GSPLAT_NAME)
#undef GSPLAT_NAME
  return names;
}

struct ChosenResponse {
  std::string text;
  ResponseName name;
  ResponseTraits traits;
};

// By its name; `Kernels` are those of a device.
template <class Kernels>
ChosenResponse choose_response(const std::string& response) {
#define GSPLAT_FIND(name, ...) \
  if (response == #name) return {response, ResponseName::name, Kernels::response_traits(ResponseName::name)};
  GSPLAT_RESPONSES(GSPLAT_FIND)
#undef GSPLAT_FIND
  STD_TORCH_CHECK(false, "gsplat_core: argument 'response' must be one of ", response_names(), ", got '",
                  response, "'");
}

// Throws unless `extras` [..., numbers of the response] is what splats of the shape [rows, columns] need.
inline void check_extras(const std::optional<Tensor>& extras, const ChosenResponse& response, int64_t rows,
                         int64_t columns) {
  check_own_numbers(extras, "extras", rows, columns, response.traits.extras,
                    "numbers per splat for the response", response.text);
}

}  // namespace gsplat::ops
