// Adam (Kingma and Ba 2015) on a range of rows. Each element is read and written once, so memory bandwidth
// decides, and a plain loop that the compiler vectorises reaches it.
#include "cpu/adam.h"

#include <cstring>

namespace gsplat::GSPLAT_ISA {
namespace {

void update_range(const AdamArrays& arrays, const AdamStep& constants, int64_t begin, int64_t end) {
  const AdamStep step = constants;
  float* __restrict param = arrays.param;
  const float* __restrict grad = arrays.grad;
  float* __restrict exp_avg = arrays.exp_avg;
  float* __restrict exp_avg_sq = arrays.exp_avg_sq;
  for (int64_t i = begin; i < end; ++i) {
    const AdamState updated = adam_update({param[i], exp_avg[i], exp_avg_sq[i]}, grad[i], step);
    param[i] = updated.param;
    exp_avg[i] = updated.exp_avg;
    exp_avg_sq[i] = updated.exp_avg_sq;
  }
}

// Which rows are visible is as hard to predict as coins, so with a mask nothing below branches on a single
// row.

// Short rows share their cache lines with their neighbours, so reading them is free: all are computed, and
// the mask chooses what is kept.
constexpr int64_t kShort = 16;
constexpr int64_t kGroup = 64;

// kSize: floats per row, known at compile time for the tensors of a scene; 0: any.
template <int kSize>
void update_short_rows(const AdamArrays& arrays, const AdamStep& constants, int64_t begin, int64_t end) {
  const AdamStep step = constants;
  const int64_t size = kSize > 0 ? kSize : arrays.row_size;
  int32_t keep[kGroup * kShort];
  int64_t seen = 0;
  for (int64_t row = begin; row < end; ++row) {
    const int32_t visible = arrays.visible[row] != 0;
    seen += visible;
    for (int64_t i = 0; i < size; ++i) keep[(row - begin) * size + i] = visible;
  }
  if (seen == 0) return;
  float* __restrict param = arrays.param + begin * size;
  const float* __restrict grad = arrays.grad + begin * size;
  float* __restrict exp_avg = arrays.exp_avg + begin * size;
  float* __restrict exp_avg_sq = arrays.exp_avg_sq + begin * size;
  for (int64_t i = 0; i < (end - begin) * size; ++i) {
    const AdamState updated = adam_update({param[i], exp_avg[i], exp_avg_sq[i]}, grad[i], step);
    param[i] = keep[i] ? updated.param : param[i];
    exp_avg[i] = keep[i] ? updated.exp_avg : exp_avg[i];
    exp_avg_sq[i] = keep[i] ? updated.exp_avg_sq : exp_avg_sq[i];
  }
}

// Long rows are updated in pieces of sixteen. The last piece overlaps the one before: it is computed first,
// from the old values, and stored last, so that no row ends in slow single elements.
constexpr int64_t kPiece = 16;

void update_long_row(const AdamArrays& arrays, const AdamStep& constants, int64_t row) {
  const AdamStep step = constants;
  const int64_t first = row * arrays.row_size;
  const int64_t last = first + arrays.row_size - kPiece;
  float param[kPiece], exp_avg[kPiece], exp_avg_sq[kPiece];
  for (int64_t i = 0; i < kPiece; ++i) {
    const AdamState updated =
        adam_update({arrays.param[last + i], arrays.exp_avg[last + i], arrays.exp_avg_sq[last + i]},
                    arrays.grad[last + i], step);
    param[i] = updated.param;
    exp_avg[i] = updated.exp_avg;
    exp_avg_sq[i] = updated.exp_avg_sq;
  }
  for (int64_t i = first; i < last; i += kPiece) update_range(arrays, step, i, i + kPiece);
  std::memcpy(arrays.param + last, param, sizeof(param));
  std::memcpy(arrays.exp_avg + last, exp_avg, sizeof(exp_avg));
  std::memcpy(arrays.exp_avg_sq + last, exp_avg_sq, sizeof(exp_avg_sq));
}

void fetch_long_row(const AdamArrays& arrays, int64_t row) {
  const int64_t first = row * arrays.row_size;
  for (int64_t i = first; i < first + arrays.row_size; i += kPiece) {
    __builtin_prefetch(arrays.param + i, 1);
    __builtin_prefetch(arrays.grad + i, 0);
    __builtin_prefetch(arrays.exp_avg + i, 1);
    __builtin_prefetch(arrays.exp_avg_sq + i, 1);
  }
}

void update_long_rows(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end) {
  constexpr int64_t kAhead = 2;
  int64_t seen[kGroup + kAhead];
  int64_t count = 0;
  for (int64_t row = begin; row < end; ++row) {
    seen[count] = row;
    count += arrays.visible[row] != 0;
  }
  if (count == end - begin) return update_range(arrays, step, begin * arrays.row_size, end * arrays.row_size);
  for (int64_t i = 0; i < kAhead; ++i) seen[count + i] = begin;
  for (int64_t i = 0; i < count; ++i) {
    fetch_long_row(arrays, seen[i + kAhead]);
    update_long_row(arrays, step, seen[i]);
  }
}

}  // namespace

void adam_rows(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end) {
  if (arrays.visible == nullptr) {
    return update_range(arrays, step, begin * arrays.row_size, end * arrays.row_size);
  }
  const auto update_rows = arrays.row_size == 1       ? update_short_rows<1>
                           : arrays.row_size == 3     ? update_short_rows<3>
                           : arrays.row_size == 4     ? update_short_rows<4>
                           : arrays.row_size < kShort ? update_short_rows<0>
                                                      : update_long_rows;
  for (int64_t row = begin; row < end; row += kGroup) {
    update_rows(arrays, step, row, row + kGroup < end ? row + kGroup : end);
  }
}

}  // namespace gsplat::GSPLAT_ISA
