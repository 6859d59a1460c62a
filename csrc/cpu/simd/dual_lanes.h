// Values and their tangents, read separately, joined into structs of dual numbers.
#pragma once

#include <cstring>

#include "cpu/simd/simd.h"
#include "math/dual.h"

namespace gsplat::GSPLAT_ISA {

// For a struct template of nothing but numbers, such as Camera<T>: Struct<Dual<F>> from two Struct<F>.
template <class DualStruct, class Struct>
inline DualStruct join(const Struct& value, const Struct& tangent) {
  static_assert(sizeof(DualStruct) == 2 * sizeof(Struct));
  constexpr int kNumbers = sizeof(Struct) / sizeof(Float);
  Float values[kNumbers], tangents[kNumbers];
  std::memcpy(values, &value, sizeof(Struct));
  std::memcpy(tangents, &tangent, sizeof(Struct));
  Dual<Float> joined[kNumbers];
  for (int i = 0; i < kNumbers; ++i) joined[i] = {values[i], tangents[i]};
  DualStruct result;
  std::memcpy(static_cast<void*>(&result), joined, sizeof(result));
  return result;
}

}  // namespace gsplat::GSPLAT_ISA
