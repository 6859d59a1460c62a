// Stands in for the part of libtorch_cuda.so that csrc/ops/cuda/device.cpp looks up: the current stream. That
// file is compiled with these two names in place of dlopen and dlsym.
#include <cstdint>
#include <string_view>

namespace {

void* current_stream = nullptr;

int32_t get_current_stream(int32_t, void** stream) {
  *stream = current_stream;
  return 0;
}

}  // namespace

extern "C" void* emulated_dlopen(const char*, int) noexcept { return &current_stream; }

extern "C" void* emulated_dlsym(void*, const char* name) noexcept {
  const bool known = std::string_view(name) == "aoti_torch_get_current_cuda_stream";
  return known ? reinterpret_cast<void*>(&get_current_stream) : nullptr;
}

// What PyTorch's `torch.cuda.stream()` does.
extern "C" __attribute__((visibility("default"))) void cuda_on_cpu_set_current_stream(void* stream) {
  current_stream = stream;
}
