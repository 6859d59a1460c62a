// Adam (Kingma and Ba 2015) on a range of rows. Each element is read and written once, so memory bandwidth
// decides, and a plain loop that the compiler vectorises reaches it.
#include "cpu/adam.h"

#include <cstring>

namespace gsplat::GSPLAT_ISA {
namespace {

// The first moment of a Gaussian that nobody sees shrinks by a tenth with every step and would soon be a
// denormal number, with which processors are a hundred times slower. Far below any effect it becomes zero.
constexpr float kVanished = 1e-30f;

struct Updated {
  float param, exp_avg, exp_avg_sq;
};

inline Updated update(float param, float grad, float exp_avg, float exp_avg_sq, const AdamStep& step) {
  float first = step.beta1 * exp_avg + step.one_minus_beta1 * grad;
  first = __builtin_fabsf(first) < kVanished ? 0.0f : first;
  const float second = step.beta2 * exp_avg_sq + step.one_minus_beta2 * grad * grad;
  const float root = __builtin_sqrtf(second) * step.root_scale + step.eps;
  return {param - step.step_size * (first / root), first, second};
}

void update_range(const AdamArrays& arrays, const AdamStep& constants, int64_t begin, int64_t end) {
  const AdamStep step = constants;
  float* __restrict param = arrays.param;
  const float* __restrict grad = arrays.grad;
  float* __restrict exp_avg = arrays.exp_avg;
  float* __restrict exp_avg_sq = arrays.exp_avg_sq;
  for (int64_t i = begin; i < end; ++i) {
    const Updated updated = update(param[i], grad[i], exp_avg[i], exp_avg_sq[i], step);
    param[i] = updated.param;
    exp_avg[i] = updated.exp_avg;
    exp_avg_sq[i] = updated.exp_avg_sq;
  }
}

// Which rows are visible is as unpredictable as a coin, so nothing below branches on a single row: the
// visible rows of a group are listed first.
constexpr int64_t kGroup = 64;

struct RowList {
  int64_t rows[kGroup];
  int64_t count = 0;

  RowList(const uint8_t* visible, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      rows[count] = row;
      count += visible[row] != 0;
    }
  }
};

template <int kSize>
void gather_rows(const float* __restrict from, const RowList& list, float* __restrict to) {
  for (int64_t i = 0; i < list.count; ++i)
    std::memcpy(to + i * kSize, from + list.rows[i] * kSize, kSize * sizeof(float));
}

template <int kSize>
void scatter_rows(const float* __restrict from, const RowList& list, float* __restrict to) {
  for (int64_t i = 0; i < list.count; ++i)
    std::memcpy(to + list.rows[i] * kSize, from + i * kSize, kSize * sizeof(float));
}

// Rows shorter than a vector are brought together, updated and put back.
template <int kSize>
void update_short_rows(const AdamArrays& arrays, const AdamStep& step, const RowList& list) {
  alignas(64) float param[kGroup * kSize], grad[kGroup * kSize], exp_avg[kGroup * kSize],
      exp_avg_sq[kGroup * kSize];
  gather_rows<kSize>(arrays.param, list, param);
  gather_rows<kSize>(arrays.grad, list, grad);
  gather_rows<kSize>(arrays.exp_avg, list, exp_avg);
  gather_rows<kSize>(arrays.exp_avg_sq, list, exp_avg_sq);
  update_range({.param = param, .grad = grad, .exp_avg = exp_avg, .exp_avg_sq = exp_avg_sq}, step, 0,
               list.count * kSize);
  scatter_rows<kSize>(param, list, arrays.param);
  scatter_rows<kSize>(exp_avg, list, arrays.exp_avg);
  scatter_rows<kSize>(exp_avg_sq, list, arrays.exp_avg_sq);
}

void update_rows(const AdamArrays& arrays, const AdamStep& step, const RowList& list) {
  for (int64_t i = 0; i < list.count; ++i) {
    update_range(arrays, step, list.rows[i] * arrays.row_size, (list.rows[i] + 1) * arrays.row_size);
  }
}

void update_visible(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end) {
  const RowList list(arrays.visible, begin, end);
  if (list.count == end - begin) {
    update_range(arrays, step, begin * arrays.row_size, end * arrays.row_size);
    return;
  }
  switch (arrays.row_size) {
    case 1:
      return update_short_rows<1>(arrays, step, list);
    case 3:
      return update_short_rows<3>(arrays, step, list);
    case 4:
      return update_short_rows<4>(arrays, step, list);
    default:
      return update_rows(arrays, step, list);
  }
}

}  // namespace

void adam_rows(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end) {
  if (arrays.visible == nullptr) {
    update_range(arrays, step, begin * arrays.row_size, end * arrays.row_size);
    return;
  }
  for (int64_t row = begin; row < end; row += kGroup) {
    update_visible(arrays, step, row, row + kGroup < end ? row + kGroup : end);
  }
}

}  // namespace gsplat::GSPLAT_ISA
