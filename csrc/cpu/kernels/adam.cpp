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

// Which rows are visible is as hard to predict as coins, and the rows in between keep the processor from
// fetching ahead by itself. So with a mask each range is walked twice: first to list what is to be updated,
// without a branch, then to update it while what comes later in the list is being fetched.
constexpr int64_t kPiece = 16;    // floats that are updated at once: a cache line
constexpr int64_t kGroup = 1024;  // pieces or rows that are listed at once
constexpr int64_t kAhead = 6;     // pieces between fetching and updating

inline void fetch(const AdamArrays& arrays, int64_t i) {
  __builtin_prefetch(arrays.param + i, 1);
  __builtin_prefetch(arrays.grad + i, 0);
  __builtin_prefetch(arrays.exp_avg + i, 1);
  __builtin_prefetch(arrays.exp_avg_sq + i, 1);
}

// `count` elements at `first`; keep[i] is zero where element first + i stays as it is.
[[gnu::always_inline]] inline void update_masked(const AdamArrays& arrays, const AdamStep& step,
                                                 int64_t first, int64_t count,
                                                 const int32_t* __restrict keep) {
  float* __restrict param = arrays.param + first;
  const float* __restrict grad = arrays.grad + first;
  float* __restrict exp_avg = arrays.exp_avg + first;
  float* __restrict exp_avg_sq = arrays.exp_avg_sq + first;
  for (int64_t i = 0; i < count; ++i) {
    const AdamState updated = adam_update({param[i], exp_avg[i], exp_avg_sq[i]}, grad[i], step);
    param[i] = keep[i] ? updated.param : param[i];
    exp_avg[i] = keep[i] ? updated.exp_avg : exp_avg[i];
    exp_avg_sq[i] = keep[i] ? updated.exp_avg_sq : exp_avg_sq[i];
  }
}

typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef int32_t Wide __attribute__((vector_size(64)));

inline Bytes shuffled(Bytes values, Bytes places) {
#if defined(__clang__)
  Bytes result;
  for (int i = 0; i < 16; ++i) result[i] = values[places[i]];
  return result;
#else
  return __builtin_shuffle(values, places);
#endif
}

inline bool any(Bytes flags) {
  uint64_t halves[2];
  std::memcpy(halves, &flags, sizeof(flags));
  return (halves[0] | halves[1]) != 0;
}

// Short rows share cache lines with their neighbours: a line in which any row is visible is computed whole,
// and the mask chooses what is kept.
template <int kSize>
class ShortRows {
public:
  static constexpr int kPieces = kSize == 3 ? 3 : 1;  // until a piece starts with a row again
  static constexpr int kRows = kPieces * kPiece / kSize;

  ShortRows() {
    for (int p = 0; p < kPieces; ++p) {
      for (int i = 0; i < kPiece; ++i) row_of_[p][i] = (p * kPiece + i) / kSize;
    }
  }

  // Flags of the rows that the elements of a piece belong to, spread in registers: single bytes that are
  // written and then read as a vector would stall the processor. `visible`: of a row with which a piece
  // starts.
  Bytes flags(const uint8_t* visible, int64_t piece) const {
    Bytes rows{};
    std::memcpy(&rows, visible + piece / kPieces * kRows, kRows);
    return shuffled(rows, row_of_[piece % kPieces]);
  }

private:
  Bytes row_of_[kPieces];
};

template <int kSize>
void update_short_rows(const AdamArrays& arrays, const AdamStep& constants, int64_t begin, int64_t end) {
  using Rows = ShortRows<kSize>;
  const AdamStep step = constants;
  const Rows rows;
  int32_t seen[kGroup + kAhead];
  alignas(64) int32_t keep[kPiece];
  int64_t row = begin;
  while (row + Rows::kRows <= end) {
    const uint8_t* visible = arrays.visible + row;
    const int64_t whole = (end - row) / Rows::kRows * Rows::kPieces;
    const int64_t pieces =
        whole < kGroup / Rows::kPieces * Rows::kPieces ? whole : kGroup / Rows::kPieces * Rows::kPieces;
    int64_t count = 0;
    for (int64_t p = 0; p < pieces; ++p) {
      seen[count] = static_cast<int32_t>(p);
      count += any(rows.flags(visible, p));
    }
    for (int64_t i = 0; i < kAhead; ++i) seen[count + i] = 0;
    for (int64_t i = 0; i < count; ++i) {
      fetch(arrays, row * kSize + seen[i + kAhead] * kPiece);
      const Wide wide = __builtin_convertvector(rows.flags(visible, seen[i]), Wide);
      std::memcpy(keep, &wide, sizeof(keep));
      update_masked(arrays, step, row * kSize + seen[i] * kPiece, kPiece, keep);
    }
    row += pieces / Rows::kPieces * Rows::kRows;
  }
  for (; row < end; ++row) {
    for (int i = 0; i < kSize; ++i) keep[i] = arrays.visible[row];
    update_masked(arrays, step, row * kSize, kSize, keep);
  }
}

// The same for rows of any size below sixteen, which no tensor of a scene of SH degree 3 has.
void update_rows_one_by_one(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    if (arrays.visible[row]) update_range(arrays, step, row * arrays.row_size, (row + 1) * arrays.row_size);
  }
}

// Long rows are updated in pieces of sixteen. The last piece overlaps the one before: it is computed first,
// from the old values, and stored last, so that no row ends in slow single elements.
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

void update_long_rows(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end) {
  constexpr int64_t kRowsAhead = 2;
  int32_t seen[kGroup + kRowsAhead];
  for (int64_t group = begin; group < end; group += kGroup) {
    const int64_t rows = end - group < kGroup ? end - group : kGroup;
    int64_t count = 0;
    for (int64_t row = 0; row < rows; ++row) {
      seen[count] = static_cast<int32_t>(row);
      count += arrays.visible[group + row] != 0;
    }
    if (count == rows) {
      update_range(arrays, step, group * arrays.row_size, (group + rows) * arrays.row_size);
      continue;
    }
    for (int64_t i = 0; i < kRowsAhead; ++i) seen[count + i] = 0;
    for (int64_t i = 0; i < count; ++i) {
      // By whole lines, of which a row may start and end in the middle.
      const int64_t first = (group + seen[i + kRowsAhead]) * arrays.row_size;
      for (int64_t j = first / kPiece * kPiece; j < first + arrays.row_size; j += kPiece) fetch(arrays, j);
      update_long_row(arrays, step, group + seen[i]);
    }
  }
}

// A count that is known when this is compiled leaves no loop over single elements at the end of a row.
template <int kColumns>
void update_columns(const AdamArrays& arrays, const AdamStep& step) {
  for (int64_t row = 0; row < arrays.rows; ++row) {
    const int64_t first = row * arrays.row_size;
    update_range(arrays, step, first, first + kColumns);
  }
}

}  // namespace

void adam_columns(const AdamArrays& arrays, const AdamStep& step, int columns) {
  if (columns == arrays.row_size) return update_range(arrays, step, 0, arrays.rows * arrays.row_size);
  if (columns == 9) return update_columns<9>(arrays, step);
  if (columns == 24) return update_columns<24>(arrays, step);
  if (columns == 45) return update_columns<45>(arrays, step);
  for (int64_t row = 0; row < arrays.rows; ++row) {
    update_range(arrays, step, row * arrays.row_size, row * arrays.row_size + columns);
  }
}

void adam_rows(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end) {
  if (arrays.visible == nullptr) {
    return update_range(arrays, step, begin * arrays.row_size, end * arrays.row_size);
  }
  if (arrays.row_size == 1) return update_short_rows<1>(arrays, step, begin, end);
  if (arrays.row_size == 3) return update_short_rows<3>(arrays, step, begin, end);
  if (arrays.row_size == 4) return update_short_rows<4>(arrays, step, begin, end);
  if (arrays.row_size < kPiece) return update_rows_one_by_one(arrays, step, begin, end);
  update_long_rows(arrays, step, begin, end);
}

}  // namespace gsplat::GSPLAT_ISA
