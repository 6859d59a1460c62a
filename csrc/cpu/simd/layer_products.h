// Layers of small networks for a block of inputs that stays in the caches.
//
// Lanes are the block's rows, and it is kept with one column of numbers after the other, so that weights are
// spread over the lanes as they lie in memory and what follows a layer needs no shuffling. Only sums over the
// rows, the gradients of weights, have the inputs of a layer in their lanes.
#pragma once

#include "cpu/simd/simd.h"

namespace gsplat::GSPLAT_ISA {

// Rows of a block. A network's numbers for them fill a part of a usual second-level cache.
inline constexpr int kRows = 64;

// What stays in registers: kOutputs outputs of a layer for kVectors vectors of rows.
inline constexpr int kVectors = kLanes == 16 ? 4 : 2;
inline constexpr int kOutputs = 6;
inline constexpr int kTileRows = kVectors * kLanes;
static_assert(kRows % kTileRows == 0);

inline int whole_vectors(int count) { return (count + kLanes - 1) / kLanes * kLanes; }

// body.operator()<count>() for a count from 1 to kMost.
template <int kMost, class Body>
[[gnu::always_inline]] inline void with_count(int count, Body&& body) {
  repeat<kMost>([&](auto index) __attribute__((always_inline)) {
    if (count == index + 1) body.template operator()<index + 1>();
  });
}

// body.operator()<count>(first) for runs of about equal length, at most kMost, that cover `total`.
template <int kMost, class Body>
[[gnu::always_inline]] inline void each_run(int total, Body&& body) {
  const int runs = (total + kMost - 1) / kMost;
  for (int i = 0; i < runs; ++i) {
    const int first = total * i / runs;
    with_count<kMost>(total * (i + 1) / runs - first,
                      [&]<int kCount> { body.template operator()<kCount>(first); });
  }
}

// A matrix of weights, or its transpose.
struct Weights {
  const float* numbers;
  int outputs, inputs;
  int64_t of_output, of_input;  // steps from one number to the next
};

// What the layers' outputs are at least: zero after a ReLU.
inline constexpr float kReLU = 0.0f, kLinear = -__builtin_inff();

// Columns of outputs: max(least, biases + sum over the inputs) for columns x of these; without biases, the
// sums are added to what the columns have already.
[[gnu::noinline]] inline void multiply(const Weights& weights, const float* x, int rows, const float* biases,
                                       float least, float* out) {
  for (int row = 0; row < rows; row += kTileRows) {
    each_run<kOutputs>(weights.outputs, [&]<int kCount>(int first) {
      float* const outputs = out + first * kRows + row;
      Float sums[kCount][kVectors];
      repeat<kCount>([&](auto o) __attribute__((always_inline)) {
        repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
          sums[o][v] =
              biases != nullptr ? Float(biases[first + o]) : Float::load(outputs + o * kRows + v * kLanes);
        });
      });
      const float* weight = weights.numbers + first * weights.of_output;
      const float* column = x + row;
      for (int i = 0; i < weights.inputs; ++i) {
        Float values[kVectors];
        repeat<kVectors>(
            [&](auto v) __attribute__((always_inline)) { values[v] = Float::load(column + v * kLanes); });
        repeat<kCount>([&](auto o) __attribute__((always_inline)) {
          const Float factor(weight[o * weights.of_output]);
          repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
            sums[o][v] = fma(factor, values[v], sums[o][v]);
          });
        });
        weight += weights.of_input;
        column += kRows;
      }
      repeat<kCount>([&](auto o) __attribute__((always_inline)) {
        repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
          max(Float(least), sums[o][v]).store(outputs + o * kRows + v * kLanes);
        });
      });
    });
  }
}

// sums[o][i] += sum over the rows of v[o] y[i], with columns v and rows y of `width` numbers.
[[gnu::noinline]] inline void add_outer_products(const float* v, int outputs, const float* y, int width,
                                                 int rows, float* sums) {
  each_run<kOutputs>(outputs, [&]<int kCount>(int first) {
    each_run<kVectors>(width / kLanes, [&]<int kWide>(int vector) {
      float* const out = sums + first * width + vector * kLanes;
      Float totals[kCount][kWide];
      repeat<kCount>([&](auto o) __attribute__((always_inline)) {
        repeat<kWide>([&](auto w) __attribute__((always_inline)) {
          totals[o][w] = Float::load(out + o * width + w * kLanes);
        });
      });
      const float *factor = v + first * kRows, *values = y + vector * kLanes;
      for (int row = 0; row < rows; ++row) {
        Float value[kWide];
        repeat<kWide>([&](auto w)
                          __attribute__((always_inline)) { value[w] = Float::load(values + w * kLanes); });
        repeat<kCount>([&](auto o) __attribute__((always_inline)) {
          const Float spread(factor[o * kRows]);
          repeat<kWide>([&](auto w) __attribute__((always_inline)) {
            totals[o][w] = fma(spread, value[w], totals[o][w]);
          });
        });
        ++factor;
        values += width;
      }
      repeat<kCount>([&](auto o) __attribute__((always_inline)) {
        repeat<kWide>(
            [&](auto w) __attribute__((always_inline)) { totals[o][w].store(out + o * width + w * kLanes); });
      });
    });
  });
}

// sums[o] += the lanes of column v[o].
inline void add_columns(const float* v, int outputs, int rows, float* sums) {
  for (int o = 0; o < outputs; ++o) {
    Float total = Float::load(sums + o * kLanes);
    for (int row = 0; row < rows; row += kLanes) total += Float::load(v + o * kRows + row);
    total.store(sums + o * kLanes);
  }
}

// Columns as rows of `width` numbers, a multiple of kLanes; the columns are as many.
[[gnu::noinline]] inline void columns_to_rows(const float* columns, int width, int rows, float* out) {
  for (int row = 0; row < rows; row += kLanes) {
    for (int c = 0; c < width; c += kLanes) {
      Float square[kLanes];
      for (int i = 0; i < kLanes; ++i) square[i] = Float::load(columns + (c + i) * kRows + row);
      transpose(square);
      for (int i = 0; i < kLanes; ++i) square[i].store(out + (row + i) * width + c);
    }
  }
}

}  // namespace gsplat::GSPLAT_ISA
