// One round of exchanges in one block: groups of four cells, each arranged in the best of 24 ways.
#include "cpu/grid_sort.h"

#include <cstring>

#include "cpu/simd/buffer.h"
#include "cpu/simd/simd.h"
#include "math/arrangements.h"

namespace gsplat::GSPLAT_ISA {
void exchange_block(const BlockExchange& exchange, ExchangeCost& cost) {
  const GridBlock& block = exchange.block;
  const int64_t channels = exchange.channels, cells = block.side * block.side;
  float* row = per_thread<Buffer<float>>().reserve(kGridGroup * channels);
  cost = {};
  for (int64_t first = 0; first < cells; first += kGridGroup) {
    const int64_t count = cells - first < kGridGroup ? cells - first : kGridGroup;
    int64_t place[kGridGroup];
    for (int64_t i = 0; i < count; ++i) place[i] = block.place(exchange.deal[first + i]);
    // The product of a cell with a goal decides: |p|^2 and |t|^2 are the same in every arrangement.
    float product[kGridGroup][kGridGroup] = {};
    float squares = 0;
    for (int64_t i = 0; i < count; ++i) {
      const float* p = exchange.picture + place[i] * channels;
      for (int64_t j = 0; j < count; ++j) {
        const float* t = exchange.goal + place[j] * channels;
        float sum = 0;
        for (int64_t c = 0; c < channels; ++c) sum += p[c] * t[c];
        product[i][j] = sum;
      }
      const float* t = exchange.goal + place[i] * channels;
      for (int64_t c = 0; c < channels; ++c) squares += p[c] * p[c] + t[c] * t[c];
    }
    int best = 0;
    const float unchanged = product[0][0] + product[1][1] + product[2][2] + product[3][3];
    float highest = unchanged;
    if (count == kGridGroup) {
      for (int a = 1; a < kArrangements; ++a) {
        const float sum = product[0][arranged(a, 0)] + product[1][arranged(a, 1)] +
                          product[2][arranged(a, 2)] + product[3][arranged(a, 3)];
        best = sum > highest ? a : best;
        highest = sum > highest ? sum : highest;
      }
    }
    cost.before += squares - 2 * unchanged;
    cost.after += squares - 2 * highest;
    if (best == 0) continue;
    int32_t from[kGridGroup];
    for (int i = 0; i < kGridGroup; ++i) {
      std::memcpy(row + i * channels, exchange.picture + place[i] * channels, channels * sizeof(float));
      from[i] = exchange.order[place[i]];
    }
    for (int i = 0; i < kGridGroup; ++i) {
      const int64_t to = place[arranged(best, i)];
      std::memcpy(exchange.picture + to * channels, row + i * channels, channels * sizeof(float));
      exchange.order[to] = from[i];
    }
  }
}

}  // namespace gsplat::GSPLAT_ISA
