#include "cpu/context_coder.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "cpu/bit_models.h"
#include "cpu/coded_numbers.h"
#include "cpu/parallel.h"

namespace gsplat {
namespace {

enum Predictor : uint8_t { kConstant, kFirst, kMean, kGradient, kPredictors };

// One channel: how its values are predicted from those of earlier rows.
struct Channel {
  int32_t constant = 0;  // where there is no earlier row
  uint8_t predictor = kConstant;
};

constexpr int64_t kChannelBytes = 5;

// A table on its way through the coder: rows up to the current one are known.
struct Table {
  const int32_t* values;
  const int32_t* neighbors;
  int64_t channels;

  int64_t at(int64_t neighbor, int64_t channel, int32_t otherwise) const {
    return neighbor < 0 ? otherwise : values[neighbor * channels + channel];
  }

  int64_t predict(int64_t row, int64_t channel, const Channel& c, int predictor) const {
    const int32_t* n = neighbors + row * kCausalNeighbors;
    if (predictor == kConstant || n[0] < 0) return c.constant;
    const int64_t first = at(n[0], channel, c.constant);
    if (predictor == kFirst || n[1] < 0) return first;
    const int64_t second = at(n[1], channel, c.constant), third = n[2] < 0 ? second : at(n[2], channel, 0);
    if (predictor == kMean) return (2 * first + second + third + 2) >> 2;
    // The gradient of the plane through the three (as in LOCO-I), within their range.
    return std::clamp(first + second - third, std::min(first, second), std::max(first, second));
  }
};

constexpr int kModels = 6;

// The places of a model, as a power of two: for small tables few, since all must be set up.
int table_bits(int64_t numbers) { return std::clamp(4 + bit_length(static_cast<uint32_t>(numbers)), 14, 21); }

// Codes the errors of the prediction, row by row.
template <bool kDecodes>
class TableCoder {
public:
  TableCoder(BitCoder<kDecodes> coder, const Table& table, const Channel* channels, int64_t rows)
      : coder_(std::move(coder)),
        table_(table),
        channels_(channels),
        mixer_(static_cast<int>(table.channels) * kKinds),
        errors_(rows * table.channels),
        shift_(32 - table_bits(std::min<int64_t>(rows * table.channels, 1 << 20)) + 6) {
    for (auto& models : models_) models.resize(int64_t{1} << (32 + 6 - shift_));
  }

  // values: what is coded, or where it is put.
  void run(int32_t* values, int64_t rows) {
    for (int64_t row = 0; row < rows; ++row) {
      int64_t row_error = 0;
      for (int64_t c = 0; c < table_.channels; ++c) {
        const int64_t prediction = table_.predict(row, c, channels_[c], channels_[c].predictor);
        set_contexts(row, c, prediction, row_error);
        int32_t& value = values[row * table_.channels + c];
        const int32_t error = code(static_cast<int32_t>(value - prediction), static_cast<int>(c));
        if constexpr (kDecodes) {
          value = static_cast<int32_t>(std::clamp<int64_t>(prediction + error, -kBound, kBound));
        }
        errors_[row * table_.channels + c] = error;
        row_error += std::abs(static_cast<int64_t>(error));
      }
    }
  }

  std::vector<uint8_t> finish() { return coder_.finish(); }

private:
  static constexpr int64_t kBound = 2 * int64_t{kLargestCodedValue};

  int64_t error_at(int64_t row, int64_t channel) const {
    return row < 0 || channel < 0 ? 0 : errors_[row * table_.channels + channel];
  }

  void set_contexts(int64_t row, int64_t c, int64_t prediction, int64_t row_error) {
    const int32_t* n = table_.neighbors + row * kCausalNeighbors;
    const int32_t constant = channels_[c].constant;
    const int64_t first = table_.at(n[0], c, constant), second = table_.at(n[1], c, constant);
    const int64_t before = error_at(row, c - 1), before2 = error_at(row, c - 2),
                  before3 = error_at(row, c - 3);
    const int64_t near = std::abs(error_at(n[0], c)) + std::abs(error_at(n[1], c));
    const uint32_t contexts[kModels] = {
        0,
        static_cast<uint32_t>(coarse(before) * 15 + coarse(before2)),
        static_cast<uint32_t>(coarse(first - prediction) * 15 + coarse(second - prediction)),
        static_cast<uint32_t>(coarse_size(std::abs(first - second)) * 16 + coarse_size(near)),
        static_cast<uint32_t>(coarse(before3) * 16 + coarse_size(row_error)),
        static_cast<uint32_t>(coarse((prediction - constant) / 2) * 16 +
                              coarse_size(near + std::abs(before))),
    };
    for (int i = 0; i < kModels; ++i) {
      const uint32_t hash = (contexts[i] * 0x9e3779b1u) ^ (static_cast<uint32_t>(c + 1) * 0x85ebca6bu);
      slots_[i] = &models_[i][((hash * 0xc2b2ae35u) >> shift_) * kKinds];
    }
  }

  int32_t code(int32_t error, int channel) {
    const auto code_bit = [&](int bit, int kind) {
      BitModel* models[kModels];
      for (int i = 0; i < kModels; ++i) models[i] = slots_[i] + kind;
      return mixer_.code(coder_, bit, models, channel * kKinds + kind);
    };
    const auto code_raw = [&](uint32_t bits, int count) { return coder_.raw(bits, count); };
    if (code_bit(error == 0, kZero)) return 0;
    const int negative = code_bit(error < 0, kSign);
    const uint32_t size =
        code_magnitude(static_cast<uint32_t>(std::abs(static_cast<int64_t>(error))), code_bit, code_raw);
    const int32_t bounded = static_cast<int32_t>(std::min<uint32_t>(size, 2 * kBound));
    return negative ? -bounded : bounded;
  }

  BitCoder<kDecodes> coder_;
  Table table_;
  const Channel* channels_;
  Mixer<kModels> mixer_;
  std::vector<BitModel> models_[kModels];
  BitModel* slots_[kModels];
  std::vector<int32_t> errors_;
  int shift_;  // of a hash, to the number of a context; each has kKinds = 2^6 places
};

// The median and the predictor with the shortest errors.
Channel choose(const Table& table, int64_t rows, int64_t channel) {
  Channel best;
  std::vector<int32_t> column(rows);
  for (int64_t row = 0; row < rows; ++row) column[row] = table.values[row * table.channels + channel];
  std::nth_element(column.begin(), column.begin() + rows / 2, column.end());
  best.constant = column[rows / 2];
  int64_t shortest = -1;
  for (int predictor = 0; predictor < kPredictors; ++predictor) {
    int64_t sizes = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t error =
          table.values[row * table.channels + channel] - table.predict(row, channel, best, predictor);
      // log2(1 + 2 |e|) in eighths, by linear interpolation.
      const uint32_t x = static_cast<uint32_t>(1 + 2 * std::abs(error));
      const int digits = bit_length(x) - 1;
      sizes += 8 * digits + (((x << 3) >> digits) & 7);
    }
    if (shortest < 0 || sizes < shortest) {
      shortest = sizes;
      best.predictor = static_cast<uint8_t>(predictor);
    }
  }
  return best;
}

// Differences of ascending codes: their number of digits in the context of those before.
template <bool kDecodes>
class AscendingCoder {
public:
  explicit AscendingCoder(BitCoder<kDecodes> coder) : coder_(std::move(coder)), mixer_(kSlots) {
    for (auto& models : models_) models.resize(64 * 64 * kSlots);
  }

  uint64_t code(uint64_t difference) {
    const int digits = difference == 0 ? 0 : 64 - __builtin_clzll(difference);
    // The number of digits, by bisection of 0..63 from the top bit; then two digits after the first.
    int node = 1;
    for (int i = 5; i >= 0; --i) node = 2 * node + bit((digits >> i) & 1, node);
    const int length = node - 64;
    history_[2] = history_[1];
    history_[1] = history_[0];
    history_[0] = length;
    if (length <= 1) return static_cast<uint64_t>(length);
    uint64_t result = 1;
    int left = length - 1;
    for (int i = 0; i < 2 && left > 0; ++i, --left) {
      const int slot = 64 + length * 4 + (i == 0 ? 0 : 1 + static_cast<int>(result & 1));
      result = (result << 1) | static_cast<uint64_t>(bit((difference >> (left - 1)) & 1, slot));
    }
    while (left > 0) {
      const int count = std::min(left, 16);
      left -= count;
      result = (result << count) | coder_.raw(static_cast<uint32_t>(difference >> left) & 0xffffu, count);
    }
    return result;
  }

  std::vector<uint8_t> finish() { return coder_.finish(); }

private:
  static constexpr int kSlots = 64 + 64 * 4;

  int bit(int value, int slot) {
    const int mean = (history_[0] + history_[1] + history_[2]) / 3;
    BitModel* models[3] = {&models_[0][slot], &models_[1][history_[0] * kSlots + slot],
                           &models_[2][(mean * 64 + std::max(history_[0], history_[1])) * kSlots + slot]};
    return mixer_.code(coder_, value, models, slot);
  }

  BitCoder<kDecodes> coder_;
  Mixer<3> mixer_;
  std::vector<BitModel> models_[3];
  int history_[3] = {0, 0, 0};
};

// Labels bit by bit from the top: a walk down the tree of their prefixes.
template <bool kDecodes>
class LabelCoder {
public:
  LabelCoder(BitCoder<kDecodes> coder, int bits)
      : coder_(std::move(coder)), mixer_(kMostLabelBits), bits_(bits) {
    for (auto& models : models_) models.resize(int64_t{1} << kTableBits);
  }

  void run(int32_t* labels, const int32_t* neighbors, int64_t rows) {
    for (int64_t row = 0; row < rows; ++row) {
      const int32_t* n = neighbors + row * kCausalNeighbors;
      int32_t near[kCausalNeighbors];
      for (int i = 0; i < kCausalNeighbors; ++i) near[i] = n[i] < 0 ? -1 : labels[n[i]];
      labels[row] = code(labels[row], near);
    }
  }

  std::vector<uint8_t> finish() { return coder_.finish(); }

private:
  static constexpr int kOpinions = 4;
  static constexpr int kTableBits = 20;

  int32_t code(int32_t label, const int32_t* near) {
    uint32_t node = 1;
    for (int depth = 0; depth < bits_; ++depth) {
      const int rest = bits_ - 1 - depth;
      // What each neighbour, as far as it agrees until here, has next: 0, 1, or 2 for disagreement.
      uint32_t next[kCausalNeighbors];
      for (int i = 0; i < kCausalNeighbors; ++i) {
        const bool agrees =
            near[i] >= 0 && ((near[i] | (1 << bits_)) >> (rest + 1)) == static_cast<int32_t>(node);
        next[i] = agrees ? static_cast<uint32_t>(near[i] >> rest) & 1u : 2u;
      }
      const uint32_t opinion = (next[0] * 3 + next[1]) * 3 + next[2];
      const uint32_t first = near[0] < 0 ? 0u : static_cast<uint32_t>(near[0] >> std::max(0, bits_ - 6)) + 1;
      const uint32_t second = near[1] < 0 ? 0u : static_cast<uint32_t>(near[1] >> std::max(0, bits_ - 4)) + 1;
      BitModel* models[kOpinions] = {
          &models_[0][node], &models_[1][static_cast<uint32_t>(depth) * 27 + opinion],
          slot(2, node * 67 + first), slot(3, (node * 19 + second) * 27 + opinion)};
      node = 2 * node + static_cast<uint32_t>(mixer_.code(coder_, (label >> rest) & 1, models, depth));
    }
    return static_cast<int32_t>(node - (1u << bits_));
  }

  BitModel* slot(int model, uint32_t context) {
    return &models_[model][(context * 0x9e3779b1u) >> (32 - kTableBits)];
  }

  BitCoder<kDecodes> coder_;
  Mixer<kOpinions> mixer_;
  int bits_;
  std::vector<BitModel> models_[kOpinions];
};

}  // namespace

std::vector<uint8_t> encode_table(const int32_t* values, const int32_t* neighbors, int64_t rows,
                                  int64_t channels) {
  const Table table{values, neighbors, channels};
  std::vector<Channel> chosen(channels);
  std::vector<uint8_t> bytes;
  for (int64_t c = 0; c < channels && rows > 0; ++c) {
    chosen[c] = choose(table, rows, c);
    bytes.push_back(chosen[c].predictor);
    for (int i = 0; i < 4; ++i) {
      bytes.push_back(static_cast<uint8_t>(static_cast<uint32_t>(chosen[c].constant) >> (8 * i)));
    }
  }
  if (rows == 0) return bytes;
  TableCoder<false> coder({}, table, chosen.data(), rows);
  coder.run(const_cast<int32_t*>(values), rows);
  const std::vector<uint8_t> coded = coder.finish();
  bytes.insert(bytes.end(), coded.begin(), coded.end());
  return bytes;
}

void decode_table(const uint8_t* bytes, int64_t size, const int32_t* neighbors, int64_t rows,
                  int64_t channels, int32_t* values) {
  std::vector<Channel> chosen(channels);
  const int64_t head = std::min(size, channels * kChannelBytes);
  for (int64_t c = 0; (c + 1) * kChannelBytes <= head; ++c) {
    const uint8_t* entry = bytes + c * kChannelBytes;
    chosen[c].predictor = entry[0] % kPredictors;
    uint32_t constant = 0;
    for (int i = 0; i < 4; ++i) constant |= static_cast<uint32_t>(entry[1 + i]) << (8 * i);
    chosen[c].constant = std::clamp(static_cast<int32_t>(constant), -kLargestCodedValue, kLargestCodedValue);
  }
  const Table table{values, neighbors, channels};
  TableCoder<true>(BitCoder<true>(bytes + head, size - head), table, chosen.data(), rows).run(values, rows);
}

std::vector<uint8_t> encode_ascending(const int64_t* codes, int64_t count) {
  AscendingCoder<false> coder{BitCoder<false>()};
  int64_t before = 0;
  for (int64_t i = 0; i < count; ++i) {
    coder.code(static_cast<uint64_t>(codes[i] - before));
    before = codes[i];
  }
  return coder.finish();
}

void decode_ascending(const uint8_t* bytes, int64_t size, int64_t count, int64_t* codes) {
  AscendingCoder<true> coder(BitCoder<true>(bytes, size));
  uint64_t code = 0;
  for (int64_t i = 0; i < count; ++i) {
    code = (code + coder.code(0)) & ((uint64_t{1} << 62) - 1);
    codes[i] = static_cast<int64_t>(code);
  }
}

std::vector<uint8_t> encode_labels(const int32_t* labels, const int32_t* neighbors, int64_t rows, int bits) {
  LabelCoder<false> coder({}, bits);
  coder.run(const_cast<int32_t*>(labels), neighbors, rows);  // writes back what it reads
  return coder.finish();
}

void decode_labels(const uint8_t* bytes, int64_t size, const int32_t* neighbors, int64_t rows, int bits,
                   int32_t* labels) {
  LabelCoder<true>(BitCoder<true>(bytes, size), bits).run(labels, neighbors, rows);
}

void earlier_neighbors(const int32_t* positions, int64_t count, int32_t* neighbors) {
  constexpr int64_t kWindow = 48;
  parallel_for(count, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t distances[kCausalNeighbors];
      int32_t* nearest = neighbors + i * kCausalNeighbors;
      std::fill_n(distances, kCausalNeighbors, std::numeric_limits<int64_t>::max());
      std::fill_n(nearest, kCausalNeighbors, -1);
      for (int64_t j = i - 1; j >= std::max<int64_t>(0, i - kWindow); --j) {
        int64_t distance = 0;
        for (int axis = 0; axis < 3; ++axis) {
          const int64_t difference = int64_t{positions[3 * i + axis]} - positions[3 * j + axis];
          distance += difference * difference;
        }
        if (distance >= distances[kCausalNeighbors - 1]) continue;
        int slot = kCausalNeighbors - 1;
        for (; slot > 0 && distances[slot - 1] > distance; --slot) {
          distances[slot] = distances[slot - 1];
          nearest[slot] = nearest[slot - 1];
        }
        distances[slot] = distance;
        nearest[slot] = static_cast<int32_t>(j);
      }
    }
  });
}

}  // namespace gsplat
