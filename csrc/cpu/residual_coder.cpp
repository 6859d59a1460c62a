#include "cpu/residual_coder.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "cpu/bit_models.h"
#include "cpu/coded_numbers.h"
#include "cpu/context_coder.h"

namespace gsplat {
namespace {

// The mass of a normal distribution beyond a number of deviations.
class Tail {
public:
  Tail() {
    // The density by its own recurrence, e^(-(x + h)^2 / 2) = e^(-x^2 / 2) r, r' = r e^(-h^2), from three
    // constants; then the trapezoidal rule from the far end. Only integers, hence the same everywhere.
    constexpr uint64_t kOne = uint64_t{1} << 31;
    constexpr uint64_t kStep = 2146959424;   // e^(-h^2) 2^31 for h = 1/64
    constexpr uint64_t kFirst = 2147221520;  // e^(-h^2 / 2) 2^31
    std::array<uint64_t, kNodes + 1> density{};
    uint64_t ratio = kFirst;
    density[0] = kOne;
    for (int i = 1; i <= kNodes; ++i) {
      density[i] = (density[i - 1] * ratio + kOne / 2) >> 31;
      ratio = (ratio * kStep + kOne / 2) >> 31;
    }
    uint64_t sum = density[kNodes] * 12;  // about what lies beyond the last node
    mass_[kNodes] = sum;
    for (int i = kNodes - 1; i >= 0; --i) mass_[i] = sum += (density[i] + density[i + 1] + 1) / 2;
  }

  // The mass beyond half_steps / 2 steps where the deviation is 2^(d / 8 - 3) steps, in a unit of its own.
  uint64_t beyond(int64_t half_steps, int d) const {
    // 2^(-k / 8) 2^16
    constexpr int64_t kRoots[8] = {65536, 60097, 55109, 50535, 46341, 42495, 38968, 35734};
    const int64_t at = (half_steps * (int64_t{1} << 16) * kRoots[d & 7]) >> (16 + (d >> 3));  // nodes / 256
    const int64_t node = at >> 8;
    if (node >= kNodes) return 0;
    const uint64_t part = static_cast<uint64_t>(at & 255);
    return (mass_[node] * (256 - part) + mass_[node + 1] * part) >> 8;
  }

private:
  static constexpr int kNodes = 320;  // 5 deviations
  std::array<uint64_t, kNodes + 1> mass_;
};

// For every deviation and kind of bit (`coded_numbers.h`): how probable a one is, of 4096.
class NormalBits {
public:
  static int probability(int deviation, int kind) { return instance().table_[deviation][kind]; }

private:
  NormalBits() {
    const Tail tail;
    for (int d = 0; d < kResidualDeviations; ++d) {
      std::array<int16_t, kKinds>& bits = table_[d];
      bits.fill(2048);
      // Of |value| > 0, >= `low` and `high`, in half steps.
      const auto share = [&](int64_t low, int64_t middle, int64_t high) {
        const uint64_t end = high < 0 ? 0 : tail.beyond(high, d);
        const uint64_t all = tail.beyond(low, d) - end, part = tail.beyond(middle, d) - end;
        return all == 0 ? int16_t{2048}
                        : static_cast<int16_t>(std::clamp<uint64_t>((part * 4096 + all / 2) / all, 1, 4095));
      };
      bits[kZero] = static_cast<int16_t>(4096 - share(0, 1, -1));
      for (int step = 0; step < kSteps; ++step) bits[kUnary + step] = share(2 * step + 1, 2 * step + 3, -1);
      // Remainders of at least 2^n begin at so many half steps.
      const auto from = [](int64_t remainder) { return 2 * (kSteps + remainder) - 1; };
      for (int n = 0; n < kMostDigits; ++n) {
        const int64_t low = int64_t{1} << n, high = 2 * low;
        bits[kLength + n] = share(from(low), from(high), -1);
        if (n == 0 || n >= kDigitLengths) continue;
        const int base = kDigits + 3 * n;
        bits[base] = share(from(low), from(low + low / 2), from(high));
        if (n == 1) continue;
        bits[base + 1] = share(from(low), from(low + low / 4), from(low + low / 2));
        bits[base + 2] = share(from(low + low / 2), from(low + 3 * low / 4), from(high));
      }
    }
  }

  static const NormalBits& instance() {
    static const NormalBits tables;
    return tables;
  }

  static constexpr int kMostDigits = 20;
  std::array<std::array<int16_t, kKinds>, kResidualDeviations> table_;
};

constexpr int kResidualModels = 4;
constexpr int32_t kTrustNormal = 1 << 16, kTrustLearned = (1 << 16) / 8;

template <bool kDecodes>
class ResidualCoder {
public:
  ResidualCoder(BitCoder<kDecodes> coder, int64_t channels)
      : coder_(std::move(coder)),
        channels_(channels),
        mixer_(kKinds * kLevels, {kTrustNormal, kTrustLearned, kTrustLearned, kTrustLearned}) {
    models_[0].resize(kLevels * kKinds);
    models_[1].resize(channels * kLevels * kKinds);
    models_[2].resize(15 * 15 * kLevels * kKinds);
  }

  // values: what is coded, or where it is put.
  void run(int32_t* values, const int32_t* deviations, const int32_t* neighbors, int64_t rows) {
    for (int64_t row = 0; row < rows; ++row) {
      const int32_t* n = neighbors + row * kCausalNeighbors;
      for (int64_t c = 0; c < channels_; ++c) {
        const int64_t at = row * channels_ + c;
        const int level = deviations[at] / kPerLevel;
        const int first = n[0] < 0 ? 7 : coarse(values[n[0] * channels_ + c]);
        const int second = n[1] < 0 ? 7 : coarse(values[n[1] * channels_ + c]);
        slots_[0] = &models_[0][level * kKinds];
        slots_[1] = &models_[1][(c * kLevels + level) * kKinds];
        slots_[2] = &models_[2][((first * 15 + second) * kLevels + level) * kKinds];
        values[at] = code(values[at], deviations[at], level);
      }
    }
  }

  std::vector<uint8_t> finish() { return coder_.finish(); }

private:
  static constexpr int kPerLevel = 4;  // half octaves
  static constexpr int kLevels = kResidualDeviations / kPerLevel;

  int32_t code(int32_t value, int deviation, int level) {
    const auto code_bit = [&](int bit, int kind) {
      BitModel normal = BitModel::fixed(NormalBits::probability(deviation, kind));
      BitModel* models[kResidualModels] = {&normal, slots_[0] + kind, slots_[1] + kind, slots_[2] + kind};
      return mixer_.code(coder_, bit, models, level * kKinds + kind);
    };
    const auto code_raw = [&](uint32_t bits, int count) { return coder_.raw(bits, count); };
    if (code_bit(value == 0, kZero)) return 0;
    const int negative = code_bit(value < 0, kSign);
    const uint32_t size =
        code_magnitude(static_cast<uint32_t>(std::abs(static_cast<int64_t>(value))), code_bit, code_raw);
    const int32_t bounded = static_cast<int32_t>(std::min<uint32_t>(size, 2u * kLargestCodedValue));
    return negative ? -bounded : bounded;
  }

  BitCoder<kDecodes> coder_;
  int64_t channels_;
  Mixer<kResidualModels> mixer_;
  std::vector<BitModel> models_[kResidualModels - 1];
  BitModel* slots_[kResidualModels - 1];
};

}  // namespace

std::vector<uint8_t> encode_residuals(const int32_t* values, const int32_t* deviations,
                                      const int32_t* neighbors, int64_t rows, int64_t channels) {
  ResidualCoder<false> coder({}, channels);
  coder.run(const_cast<int32_t*>(values), deviations, neighbors, rows);  // writes back what it reads
  return coder.finish();
}

void decode_residuals(const uint8_t* bytes, int64_t size, const int32_t* deviations, const int32_t* neighbors,
                      int64_t rows, int64_t channels, int32_t* values) {
  ResidualCoder<true>(BitCoder<true>(bytes, size), channels).run(values, deviations, neighbors, rows);
}

}  // namespace gsplat
