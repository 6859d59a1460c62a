// Argument checks shared by all operators: every message names the argument, what was expected and what came.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <initializer_list>
#include <limits>
#include <optional>
#include <string>

#include "raster/types.h"

namespace gsplat::ops {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// In an expected shape: any size is fine here.
inline constexpr int64_t kAny = -1;

inline std::string shape_text(torch::headeronly::IntHeaderOnlyArrayRef sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) {
    text += (i == 0 ? "" : ", ") + (sizes[i] == kAny ? std::string("?") : std::to_string(sizes[i]));
  }
  return text + "]";
}

// Throws unless `tensor` has the dtype and the shape (kAny matches every size).
inline void check_tensor(const Tensor& tensor, const char* name, std::initializer_list<int64_t> shape,
                         ScalarType dtype = ScalarType::Float) {
  bool fits = tensor.dim() == static_cast<int64_t>(shape.size());
  int64_t i = 0;
  for (int64_t size : shape) {
    if (fits && size != kAny && tensor.size(i) != size) fits = false;
    ++i;
  }
  STD_TORCH_CHECK(fits, "gsplat_core: argument '", name, "' must have shape ",
                  shape_text({shape.begin(), shape.size()}), ", got ", shape_text(tensor.sizes()));
  STD_TORCH_CHECK(tensor.scalar_type() == dtype, "gsplat_core: argument '", name,
                  "' has the wrong dtype: expected ", torch::headeronly::toString(dtype), ", got ",
                  torch::headeronly::toString(tensor.scalar_type()));
}

// Throws unless a tensor [rows, columns, ...] has in its last dimension as many numbers as a variant of the
// renderer has of its own; `of_what` says what they are, as in "coefficients per camera for the camera".
inline void check_own_numbers(const std::optional<Tensor>& tensor, const char* name, int64_t rows,
                              int64_t columns, int64_t count, const char* of_what,
                              const std::string& variant) {
  const int64_t given = tensor.has_value() && tensor->dim() > 0 ? tensor->size(-1) : 0;
  STD_TORCH_CHECK(given == count, "gsplat_core: argument '", name, "' must have ", count, " ", of_what, " '",
                  variant, "', got ", given);
  if (tensor.has_value()) check_tensor(*tensor, name, {rows, columns, count});
}

// A tensor that may be absent, and its name.
struct NamedTensor {
  const char* name;
  const Tensor* tensor;

  NamedTensor(const char* name_, const Tensor& tensor_) : name(name_), tensor(&tensor_) {}
  NamedTensor(const char* name_, const std::optional<Tensor>& tensor_)
      : name(name_), tensor(tensor_.has_value() ? &*tensor_ : nullptr) {}
};

// Throws unless all tensors are on the device of the first, which must be there.
inline void check_same_device(std::initializer_list<NamedTensor> tensors) {
  const NamedTensor& first = *tensors.begin();
  const bool cuda = first.tensor->is_cuda();
  for (const NamedTensor& other : tensors) {
    if (other.tensor == nullptr) continue;
    const bool same = other.tensor->is_cuda() == cuda &&
                      (!cuda || other.tensor->get_device_index() == first.tensor->get_device_index());
    STD_TORCH_CHECK(same, "gsplat_core: argument '", other.name, "' must be on the same device as '",
                    first.name, "'");
  }
}

// The tensor itself when it is contiguous, otherwise a contiguous copy.
inline Tensor packed(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

inline std::optional<Tensor> packed(const std::optional<Tensor>& tensor) {
  return tensor.has_value() ? std::optional<Tensor>(packed(*tensor)) : std::nullopt;
}

inline const float* floats(const Tensor& tensor) {
  return static_cast<const float*>(tensor.const_data_ptr());
}
inline const float* floats(const std::optional<Tensor>& tensor) {
  return tensor.has_value() ? floats(*tensor) : nullptr;
}
inline float* mutable_floats(Tensor& tensor) { return static_cast<float*>(tensor.mutable_data_ptr()); }
inline const int32_t* ints(const Tensor& tensor) {
  return static_cast<const int32_t*>(tensor.const_data_ptr());
}
inline int32_t* mutable_ints(Tensor& tensor) { return static_cast<int32_t*>(tensor.mutable_data_ptr()); }

// A new tensor of the given shape on the same device as `like`, its contents undefined.
inline Tensor empty_like_device(const Tensor& like, std::initializer_list<int64_t> shape,
                                ScalarType dtype = ScalarType::Float) {
  return torch::stable::new_empty(like, {shape.begin(), shape.size()}, dtype);
}

inline Tensor zeros_like_device(const Tensor& like, std::initializer_list<int64_t> shape,
                                ScalarType dtype = ScalarType::Float) {
  return torch::stable::new_zeros(like, {shape.begin(), shape.size()}, dtype);
}

// What an operator returns in place of a gradient that does not exist or was not asked for.
inline Tensor absent(const Tensor& like) { return empty_like_device(like, {0}); }

// Coordinates of pixels and tiles pass through 16-bit numbers.
inline constexpr int64_t kMostPixelsPerSide = 65535;

inline ImageSize check_image(int64_t width, int64_t height) {
  STD_TORCH_CHECK(width > 0 && height > 0 && width <= kMostPixelsPerSide && height <= kMostPixelsPerSide,
                  "gsplat_core: width and height of the image must be between 1 and ", kMostPixelsPerSide,
                  ", got ", width, " x ", height);
  return {static_cast<int32_t>(width), static_cast<int32_t>(height)};
}

inline void check_index_range(int64_t count, const char* what) {
  STD_TORCH_CHECK(count <= std::numeric_limits<int32_t>::max(), "gsplat_core: too many ", what, ": ", count);
}

}  // namespace gsplat::ops
