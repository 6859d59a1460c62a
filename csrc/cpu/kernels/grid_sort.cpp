// One round of exchanges in one block: groups of four cells, each arranged in the best of 24 ways.
#include "cpu/grid_sort.h"

#include <cstring>

#include "cpu/simd/buffer.h"
#include "cpu/simd/simd.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kGroup = 4;

// Which goal each of the four cells goes to, for all 24 arrangements; the first changes nothing.
constexpr int kArrangements[24][kGroup] = {
    {0, 1, 2, 3}, {0, 1, 3, 2}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1},
    {1, 0, 2, 3}, {1, 0, 3, 2}, {1, 2, 0, 3}, {1, 2, 3, 0}, {1, 3, 0, 2}, {1, 3, 2, 0},
    {2, 0, 1, 3}, {2, 0, 3, 1}, {2, 1, 0, 3}, {2, 1, 3, 0}, {2, 3, 0, 1}, {2, 3, 1, 0},
    {3, 0, 1, 2}, {3, 0, 2, 1}, {3, 1, 0, 2}, {3, 1, 2, 0}, {3, 2, 0, 1}, {3, 2, 1, 0}};

}  // namespace

void exchange_block(const GridBlock& block, BlockCost& cost) {
  const int64_t channels = block.channels, cells = block.side * block.side;
  float* row = per_thread<Buffer<float>>().reserve(kGroup * channels);
  cost = {};
  for (int64_t first = 0; first < cells; first += kGroup) {
    const int64_t count = cells - first < kGroup ? cells - first : kGroup;
    int64_t place[kGroup];
    for (int64_t i = 0; i < count; ++i) {
      const int64_t cell = block.deal[first + i];
      int64_t y = block.y + cell / block.side, x = block.x + cell % block.side;
      y = y >= block.height ? y - block.height : y;
      x = x >= block.width ? x - block.width : x;
      place[i] = y * block.width + x;
    }
    // The product of a cell with a goal decides: |p|^2 and |t|^2 are the same in every arrangement.
    float product[kGroup][kGroup] = {};
    float squares = 0;
    for (int64_t i = 0; i < count; ++i) {
      const float* p = block.picture + place[i] * channels;
      for (int64_t j = 0; j < count; ++j) {
        const float* t = block.goal + place[j] * channels;
        float sum = 0;
        for (int64_t c = 0; c < channels; ++c) sum += p[c] * t[c];
        product[i][j] = sum;
      }
      const float* t = block.goal + place[i] * channels;
      for (int64_t c = 0; c < channels; ++c) squares += p[c] * p[c] + t[c] * t[c];
    }
    int best = 0;
    const float unchanged = product[0][0] + product[1][1] + product[2][2] + product[3][3];
    float highest = unchanged;
    if (count == kGroup) {
      for (int a = 1; a < 24; ++a) {
        const int* to = kArrangements[a];
        const float sum = product[0][to[0]] + product[1][to[1]] + product[2][to[2]] + product[3][to[3]];
        best = sum > highest ? a : best;
        highest = sum > highest ? sum : highest;
      }
    }
    cost.before += squares - 2 * unchanged;
    cost.after += squares - 2 * highest;
    if (best == 0) continue;
    int32_t from[kGroup];
    for (int i = 0; i < kGroup; ++i) {
      std::memcpy(row + i * channels, block.picture + place[i] * channels, channels * sizeof(float));
      from[i] = block.order[place[i]];
    }
    for (int i = 0; i < kGroup; ++i) {
      const int64_t to = place[kArrangements[best][i]];
      std::memcpy(block.picture + to * channels, row + i * channels, channels * sizeof(float));
      block.order[to] = from[i];
    }
  }
}

}  // namespace gsplat::GSPLAT_ISA
