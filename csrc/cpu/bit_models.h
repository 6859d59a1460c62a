// Adaptive probabilities of bits, their mixture, and the arithmetic coder that spends them. Integers only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace gsplat {

// ln(p / (1 - p)) in units of 1/256, for a probability of 1 in units of 1/4096; and back.
class Logistic {
public:
  static int squash(int stretched) {
    if (stretched > 2047) return 4095;
    if (stretched < -2047) return 1;
    return tables().squashed[stretched + 2047];
  }
  static int stretch(int probability) { return tables().stretched[probability]; }

private:
  struct Tables {
    std::array<int16_t, 4095> squashed;
    std::array<int16_t, 4096> stretched;
    Tables() {
      // The logistic curve at multiples of 128, linear in between.
      constexpr int curve[33] = {1,    2,    3,    6,    10,   16,   27,   45,   73,   120,  194,
                                 310,  488,  747,  1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785,
                                 3901, 3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094};
      for (int x = -2047; x <= 2047; ++x) {
        const int weight = x & 127, i = (x >> 7) + 16;
        squashed[x + 2047] =
            static_cast<int16_t>((curve[i] * (128 - weight) + curve[i + 1] * weight + 64) >> 7);
      }
      int next = 0;
      for (int x = -2047; x <= 2047; ++x) {
        for (; next <= squashed[x + 2047]; ++next) stretched[next] = static_cast<int16_t>(x);
      }
      for (; next < 4096; ++next) stretched[next] = 2047;
    }
  };
  static const Tables& tables() {
    static const Tables instance;
    return instance;
  }
};

// The probability that a bit is one in a context: 22 bits, and below them how often it was updated. Learns
// fast at first and then settles to an average over about kMemory bits.
class BitModel {
public:
  BitModel() = default;

  // One that says this probability, of 4096.
  static BitModel fixed(int probability) {
    BitModel model;
    model.state_ = static_cast<uint32_t>(probability) << 20;
    return model;
  }

  int probability() const { return static_cast<int>(state_ >> 20); }  // of 4096

  void update(int bit) {
    const uint32_t seen = state_ & 1023, p = state_ >> 10;
    const int64_t target = bit ? (1 << 22) - 1 : 0;
    const int64_t moved = p + (target - static_cast<int64_t>(p)) * 2 / (2 * static_cast<int64_t>(seen) + 3);
    state_ = (static_cast<uint32_t>(moved) << 10) | std::min(seen + 1, kMemory);
  }

private:
  static constexpr uint32_t kMemory = 700;
  uint32_t state_ = uint32_t{1} << 31;
};

// Encodes or decodes bits; kDecodes says which. 32-bit arithmetic coding without carries (Mahoney 2005).
template <bool kDecodes>
class BitCoder {
public:
  BitCoder() = default;
  BitCoder(const uint8_t* bytes, int64_t size) : next_(bytes), end_(bytes + size) {
    for (int i = 0; i < 4; ++i) code_ = (code_ << 8) | read();
  }

  // Codes `bit` (when decoding: returns the bit of the file) that is one with probability p / 65536.
  int code(int bit, uint32_t p) {
    const uint32_t middle = low_ + static_cast<uint32_t>((static_cast<uint64_t>(high_ - low_) * p) >> 16);
    if constexpr (kDecodes) bit = code_ <= middle;
    (bit ? high_ : low_) = bit ? middle : middle + 1;
    while (((low_ ^ high_) & 0xff000000u) == 0) {
      if constexpr (kDecodes) {
        code_ = (code_ << 8) | read();
      } else {
        bytes_.push_back(static_cast<uint8_t>(high_ >> 24));
      }
      low_ <<= 8;
      high_ = (high_ << 8) | 255;
    }
    return bit;
  }

  // `count` bits without a model, highest first.
  uint32_t raw(uint32_t bits, int count) {
    uint32_t result = 0;
    for (int i = count - 1; i >= 0; --i) {
      result = (result << 1) | static_cast<uint32_t>(code((bits >> i) & 1, 1 << 15));
    }
    return result;
  }

  // Zeros at the end are left out: they are what a decoder reads there.
  std::vector<uint8_t> finish() {
    for (int i = 3; i >= 0; --i)
      bytes_.push_back(static_cast<uint8_t>(high_ >> (8 * i)) & (i == 3 ? 255 : 0));
    while (!bytes_.empty() && bytes_.back() == 0) bytes_.pop_back();
    return std::move(bytes_);
  }

private:
  uint32_t read() { return next_ < end_ ? *next_++ : 0; }

  uint32_t low_ = 0, high_ = 0xffffffffu, code_ = 0;
  const uint8_t* next_ = nullptr;
  const uint8_t* end_ = nullptr;
  std::vector<uint8_t> bytes_;
};

// Mixes the opinions of kModels contexts about the next bit, with weights learned for each kind of bit.
template <int kModels>
class Mixer {
public:
  explicit Mixer(int kinds) : weights_(static_cast<size_t>(kinds) * kModels, (1 << 16) * 2 / (kModels + 1)) {}

  // With the weights that every kind of bit starts with.
  Mixer(int kinds, const std::array<int32_t, kModels>& start) : Mixer(kinds) {
    for (size_t i = 0; i < weights_.size(); ++i) weights_[i] = start[i % kModels];
  }

  // Codes one bit with the models' mixture and teaches models and weights.
  template <bool kDecodes>
  int code(BitCoder<kDecodes>& coder, int bit, BitModel* const (&models)[kModels], int kind) {
    int stretched[kModels];
    int64_t sum = 0;
    int32_t* weights = &weights_[static_cast<size_t>(kind) * kModels];
    for (int i = 0; i < kModels; ++i) {
      stretched[i] = Logistic::stretch(models[i]->probability());
      sum += static_cast<int64_t>(weights[i]) * stretched[i];
    }
    const int mixed = Logistic::squash(static_cast<int>(std::clamp<int64_t>(sum >> 16, -2047, 2047)));
    const uint32_t p = std::clamp<uint32_t>(static_cast<uint32_t>(mixed) * 16 + 8, 24, 65512);
    bit = coder.code(bit, p);
    const int error = ((bit << 12) - mixed) * kRate;
    for (int i = 0; i < kModels; ++i) {
      weights[i] = std::clamp(weights[i] + ((stretched[i] * error + (1 << 11)) >> 12), -kLargest, kLargest);
      models[i]->update(bit);
    }
    return bit;
  }

private:
  static constexpr int kRate = 2;
  static constexpr int32_t kLargest = 1 << 20;
  std::vector<int32_t> weights_;
};

}  // namespace gsplat
