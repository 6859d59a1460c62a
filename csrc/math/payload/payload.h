// What compositing sums up per splat besides the gradients of its shape (extension point E7).
//
// A payload is a struct with
//
//     kSums                         how many numbers it sums up per splat
//     kUnit                         what they have to be multiplied with in the end
//     kProbed                       whether it looks at the pixels' `probe`
//     Sums<T>                       sums over some pixels, `numbers` [kSums], with one of
//       take(weight, color, v, g)   called as soon as the blending weight w is known: adds the payload's
//                                   part to g = dL/dw (math/compositor/over.h); color(c) is what the splat
//                                   has in channel c, v(c) the gradient of the pixel's
//       see(shape, pixel)           called when everything about the pixel is known
//
// and Payloads<P...> is several of them, whose sums lie one behind the other in a row. With its line in
// raster/variants.h it can be asked for by its name.
#pragma once

#include <utility>

#include "math/response/radial.h"
#include "raster/types.h"

GSPLAT_MATH_BEGIN

// A sum of every splat: that of splat s is base[s * stride]. Nobody wants it if `base` is null.
struct SumPlace {
  float* base;
  int stride;

  GSPLAT_HD float* of(int64_t splat) const { return base + splat * stride; }
};

// What a payload may see of a pixel that the splat was blended into.
template <class T>
struct SeenPixel {
  T u, v;     // offset from the splat, math/response/radial.h
  T sloped;   // dL/d ln alpha times the slope of the response
  T weight;   // blending weight
  T blended;  // 1, or 0 where the splat was skipped after all
  T probe;    // a number that the pixel is given for payloads, such as its error; 0 if it is not
};

// body(0), ..., body(kCount - 1), unrolled in the source so that arrays of vectors stay in registers.
template <int kCount, class Body>
GSPLAT_HD_INLINE void unrolled(const Body& body) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, kIndex>{}), ...);
  }(std::make_integer_sequence<int, kCount>{});
}

// kCount numbers, zero at first.
template <class T, int kCount>
struct ZeroedSums {
  T numbers[kCount > 0 ? kCount : 1];

  GSPLAT_HD_INLINE ZeroedSums() {
    unrolled<kCount>([&](auto i) __attribute__((always_inline)) { numbers[i] = T(0.0); });
  }
};

// The place of a payload in the list of raster/variants.h, where it has one (raster/payloads.h).
template <class P>
inline constexpr int kPayloadPlace = -1;

template <class... P>
struct Payloads {
  static constexpr int kSums = (0 + ... + P::kSums);

  template <class T>
  struct Sums : P::template Sums<T>... {
    template <class Color, class Gradient>
    GSPLAT_HD_INLINE void take(const T& weight, const Color& color, const Gradient& v, T& g) {
      const auto one = [&](auto& payload) __attribute__((always_inline)) {
        if constexpr (requires { payload.take(weight, color, v, g); }) payload.take(weight, color, v, g);
      };
      (one(static_cast<typename P::template Sums<T>&>(*this)), ...);
    }
    GSPLAT_HD_INLINE void see(const SplatShape<T>& shape, const SeenPixel<T>& pixel) {
      const auto one = [&](auto& payload) __attribute__((always_inline)) {
        if constexpr (requires { payload.see(shape, pixel); }) payload.see(shape, pixel);
      };
      (one(static_cast<typename P::template Sums<T>&>(*this)), ...);
    }
    // Writes kSums numbers.
    GSPLAT_HD_INLINE void list(T* row) const { (copy<P>(row), ...); }

  private:
    template <class Q>
    GSPLAT_HD_INLINE void copy(T* row) const {
      const typename Q::template Sums<T>& sums = *this;
      unrolled<Q::kSums>([&](auto i)
                             __attribute__((always_inline)) { row[first<Q>() + i] = sums.numbers[i]; });
    }
  };

  // Where the sums of payload Q begin in the row.
  template <class Q>
  GSPLAT_HD static constexpr int first() {
    int sums = 0;
    bool found = false;
    ((found = found || std::is_same_v<P, Q>, sums += found ? 0 : P::kSums), ...);
    return sums;
  }

  // Of sum i of the row.
  GSPLAT_HD static SumPlace place(const CompositeGrads& out, int channels, int i) {
    return place_in<P...>(out, channels, i);
  }

  // Adds the sums of a splat to their places, in their final units.
  GSPLAT_HD static void finish(const float* row, const CompositeGrads& out, int channels, int64_t splat) {
    (finish_one<P>(row + first<P>(), out, channels, splat), ...);
  }

  // Gives the sums that are in their places already their final units.
  GSPLAT_HD static void finish_in_place(const CompositeGrads& out, int64_t splat) {
    (scale_one<P>(out, splat), ...);
  }

  // Whether no other payloads are wanted than these.
  static bool suffice(const CompositeGrads& out) {
    for (int place = 0; place < kPayloads; ++place) {
      const bool here = (false || ... || (kPayloadPlace<P> == place));
      if (out.payloads[place] != nullptr && !here) return false;
    }
    return true;
  }

private:
  template <class Q, class... Rest>
  GSPLAT_HD static SumPlace place_in(const CompositeGrads& out, int channels, int i) {
    if constexpr (sizeof...(Rest) > 0) {
      if (i >= Q::kSums) return place_in<Rest...>(out, channels, i - Q::kSums);
    }
    return place_of<Q>(out, channels, i);
  }

  // What is not in the list tells its place.
  template <class Q>
  GSPLAT_HD static SumPlace place_of(const CompositeGrads& out, int channels, int i) {
    if constexpr (kPayloadPlace<Q> < 0) {
      return Q::place(out, channels, i);
    } else {
      float* const base = out.payloads[kPayloadPlace<Q>];
      return {base == nullptr ? nullptr : base + i, Q::kSums};
    }
  }

  template <class Q>
  GSPLAT_HD static void scale_one(const CompositeGrads& out, int64_t splat) {
    if constexpr (Q::kUnit != 1.0) {
      if (place_of<Q>(out, 0, 0).base == nullptr) return;
      for (int i = 0; i < Q::kSums; ++i) *place_of<Q>(out, 0, i).of(splat) *= static_cast<float>(Q::kUnit);
    }
  }

  template <class Q>
  GSPLAT_HD static void finish_one(const float* sums, const CompositeGrads& out, int channels,
                                   int64_t splat) {
    if (place_of<Q>(out, channels, 0).base == nullptr) return;
    for (int i = 0; i < Q::kSums; ++i) {
      *place_of<Q>(out, channels, i).of(splat) = sums[i] * static_cast<float>(Q::kUnit);
    }
  }
};

GSPLAT_MATH_END
