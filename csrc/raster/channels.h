// Which numbers of channels have code of their own.
#pragma once

#include <type_traits>

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

// Calls body(std::integral_constant) with the number of channels if that is one of kCounts, else with kRest.
template <int kRest, int... kCounts, class Body>
void for_channels(int channels, Body&& body) {
  bool found = false;
  ((channels == kCounts ? (found = true, body(std::integral_constant<int, kCounts>{})) : void()), ...);
  if (!found) body(std::integral_constant<int, kRest>{});
}

// The same with the counts that occur, for a response that occurs often.
template <class Response, int kRest, class Body>
void for_frequent_channels(int channels, Body&& body) {
  if constexpr (Response::kFrequent) {
    for_channels<kRest, 1, 3, 4>(channels, body);
  } else {
    for_channels<kRest, 3>(channels, body);
  }
}

GSPLAT_MATH_END
