#include "torch_stand_in.h"

#include <torch/csrc/stable/version.h>
#include <torch/headeronly/core/Layout.h>
#include <torch/headeronly/core/MemoryFormat.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

using torch::headeronly::ScalarType;

namespace {

constexpr AOTITorchError kDone = 0, kFailed = 1;

size_t element_size(int32_t dtype) {
  switch (static_cast<ScalarType>(dtype)) {
    case ScalarType::Byte:
    case ScalarType::Char:
    case ScalarType::Bool:
      return 1;
    case ScalarType::Short:
    case ScalarType::UInt16:
      return 2;
    case ScalarType::Int:
    case ScalarType::Float:
    case ScalarType::UInt32:
      return 4;
    case ScalarType::Long:
    case ScalarType::Double:
    case ScalarType::UInt64:
      return 8;
    default:
      std::fprintf(stderr, "tensors of the type %d are not stood in for\n", static_cast<int>(dtype));
      std::abort();
  }
}

// Whether operators that are registered now are those for the CPU.
struct LibraryOfDevice {
  bool cpu;
};

AtenTensorHandle tensor_of(StableIValue value) { return reinterpret_cast<AtenTensorHandle>(value); }

// The value of an optional argument, whose box is given away; `otherwise` where there is none.
int32_t take_optional(StableIValue value, int32_t otherwise) {
  const std::unique_ptr<StableIValue> box(reinterpret_cast<StableIValue*>(value));
  return box ? static_cast<int32_t>(*box) : otherwise;
}

}  // namespace

int64_t AtenTensorOpaque::count() const {
  int64_t count = 1;
  for (int64_t size : sizes) count *= size;
  return count;
}

size_t AtenTensorOpaque::bytes() const { return static_cast<size_t>(count()) * element_size(dtype); }

namespace torch_stand_in {

std::map<std::string, Operator>& operators() {
  static std::map<std::string, Operator> all;
  return all;
}

AtenTensorHandle make_tensor(int32_t dtype, std::vector<int64_t> sizes) {
  constexpr std::align_val_t kAlignment{64};
  auto* tensor = new AtenTensorOpaque{dtype, std::move(sizes), nullptr};
  tensor->data = {static_cast<std::byte*>(operator new(tensor->bytes(), kAlignment)),
                  [](std::byte* data) { operator delete(data, kAlignment); }};
  return tensor;
}

}  // namespace torch_stand_in

extern "C" {

#define NUMBER(function, value) \
  int32_t function() { return static_cast<int32_t>(value); }
NUMBER(aoti_torch_device_type_cpu, 0)
NUMBER(aoti_torch_device_type_cuda, 1)
NUMBER(aoti_torch_device_type_meta, 2)
NUMBER(aoti_torch_device_type_xpu, 3)
NUMBER(aoti_torch_device_type_mps, 4)
NUMBER(aoti_torch_device_type_privateuse1, 5)
NUMBER(aoti_torch_dtype_uint8, ScalarType::Byte)
NUMBER(aoti_torch_dtype_int8, ScalarType::Char)
NUMBER(aoti_torch_dtype_int16, ScalarType::Short)
NUMBER(aoti_torch_dtype_int32, ScalarType::Int)
NUMBER(aoti_torch_dtype_int64, ScalarType::Long)
NUMBER(aoti_torch_dtype_uint16, ScalarType::UInt16)
NUMBER(aoti_torch_dtype_uint32, ScalarType::UInt32)
NUMBER(aoti_torch_dtype_uint64, ScalarType::UInt64)
NUMBER(aoti_torch_dtype_bool, ScalarType::Bool)
NUMBER(aoti_torch_dtype_float16, ScalarType::Half)
NUMBER(aoti_torch_dtype_bfloat16, ScalarType::BFloat16)
NUMBER(aoti_torch_dtype_float32, ScalarType::Float)
NUMBER(aoti_torch_dtype_float64, ScalarType::Double)
NUMBER(aoti_torch_dtype_complex32, ScalarType::ComplexHalf)
NUMBER(aoti_torch_dtype_complex64, ScalarType::ComplexFloat)
NUMBER(aoti_torch_dtype_complex128, ScalarType::ComplexDouble)
NUMBER(aoti_torch_dtype_float8_e5m2, ScalarType::Float8_e5m2)
NUMBER(aoti_torch_dtype_float8_e4m3fn, ScalarType::Float8_e4m3fn)
NUMBER(aoti_torch_dtype_float8_e5m2fnuz, ScalarType::Float8_e5m2fnuz)
NUMBER(aoti_torch_dtype_float8_e4m3fnuz, ScalarType::Float8_e4m3fnuz)
NUMBER(aoti_torch_layout_strided, 0)
NUMBER(aoti_torch_layout_sparse_coo, 1)
NUMBER(aoti_torch_layout_sparse_csr, 2)
NUMBER(aoti_torch_layout_sparse_csc, 3)
NUMBER(aoti_torch_layout_sparse_bsr, 4)
NUMBER(aoti_torch_layout_sparse_bsc, 5)
NUMBER(aoti_torch_layout__mkldnn, 6)
NUMBER(aoti_torch_layout_jagged, 7)
NUMBER(aoti_torch_memory_format_contiguous_format, 0)
NUMBER(aoti_torch_memory_format_preserve_format, 1)
NUMBER(aoti_torch_memory_format_channels_last, 2)
NUMBER(aoti_torch_memory_format_channels_last_3d, 3)
#undef NUMBER

uint64_t aoti_torch_abi_version() { return TORCH_ABI_VERSION; }

// Operators.

#define LIBRARY_OF_SCHEMAS(function)                                                      \
  AOTITorchError function(const char*, const char*, uint32_t, TorchLibraryHandle* made) { \
    *made = reinterpret_cast<TorchLibraryHandle>(new LibraryOfDevice{false});             \
    return kDone;                                                                         \
  }
LIBRARY_OF_SCHEMAS(aoti_torch_library_init_def)
LIBRARY_OF_SCHEMAS(aoti_torch_library_init_fragment)
#undef LIBRARY_OF_SCHEMAS

AOTITorchError aoti_torch_library_init_impl(const char*, const char* device, const char*, uint32_t,
                                            TorchLibraryHandle* made) {
  *made = reinterpret_cast<TorchLibraryHandle>(new LibraryOfDevice{std::string_view(device) != "Meta"});
  return kDone;
}

AOTITorchError aoti_torch_library_def(TorchLibraryHandle, const char*) { return kDone; }

AOTITorchError torch_library_impl(TorchLibraryHandle library, const char* name, torch_stand_in::Operator run,
                                  uint64_t) {
  if (reinterpret_cast<LibraryOfDevice*>(library)->cpu) torch_stand_in::operators()[name] = run;
  return kDone;
}

AOTITorchError aoti_torch_delete_library_object(TorchLibraryHandle library) {
  delete reinterpret_cast<LibraryOfDevice*>(library);
  return kDone;
}

// aten::new_empty and new_zeros(self, sizes, dtype, layout, device, pinned), aten::contiguous(self, format)
// and aten::clone(self, format): all that the operators ask PyTorch to do.
AOTITorchError torch_call_dispatcher(const char* name, const char*, StableIValue* stack, uint64_t) {
  const std::string_view called = name;
  const std::unique_ptr<AtenTensorOpaque> self(tensor_of(stack[0]));
  if (called == "aten::new_empty" || called == "aten::new_zeros") {
    const std::unique_ptr<StableListOpaque> sizes(reinterpret_cast<StableListHandle>(stack[1]));
    const AtenTensorHandle made = torch_stand_in::make_tensor(take_optional(stack[2], self->dtype),
                                                              {sizes->items.begin(), sizes->items.end()});
    for (int i = 3; i < 6; ++i) take_optional(stack[i], 0);
    // Where an operator forgets to write, that must show.
    std::memset(made->data.get(), called == "aten::new_zeros" ? 0 : 0xff, made->bytes());
    stack[0] = reinterpret_cast<StableIValue>(made);
    return kDone;
  }
  if (called == "aten::contiguous") {
    stack[0] = reinterpret_cast<StableIValue>(new AtenTensorOpaque(*self));
    return kDone;
  }
  if (called == "aten::clone") {
    const AtenTensorHandle made = torch_stand_in::make_tensor(self->dtype, self->sizes);
    take_optional(stack[1], 0);
    std::memcpy(made->data.get(), self->data.get(), self->bytes());
    stack[0] = reinterpret_cast<StableIValue>(made);
    return kDone;
  }
  std::fprintf(stderr, "%s is not stood in for\n", name);
  return kFailed;
}

// Tensors.

AOTITorchError aoti_torch_new_uninitialized_tensor(AtenTensorHandle* made) {
  *made = new AtenTensorOpaque{};
  return kDone;
}

AOTITorchError aoti_torch_new_tensor_handle(AtenTensorHandle tensor, AtenTensorHandle* made) {
  *made = new AtenTensorOpaque(*tensor);
  return kDone;
}

AOTITorchError aoti_torch_delete_tensor_object(AtenTensorHandle tensor) {
  delete tensor;
  return kDone;
}

#define TENSOR_GETTER(function, Type, value)                       \
  AOTITorchError function(AtenTensorHandle tensor, Type* result) { \
    (void)tensor;                                                  \
    *result = value;                                               \
    return kDone;                                                  \
  }
TENSOR_GETTER(aoti_torch_get_device_index, int32_t, 0)
TENSOR_GETTER(aoti_torch_get_device_type, int32_t, aoti_torch_device_type_cpu())
TENSOR_GETTER(aoti_torch_get_dim, int64_t, static_cast<int64_t>(tensor->sizes.size()))
TENSOR_GETTER(aoti_torch_get_dtype, int32_t, tensor->dtype)
TENSOR_GETTER(aoti_torch_get_numel, int64_t, tensor->count())
TENSOR_GETTER(aoti_torch_get_sizes, int64_t*, tensor->sizes.data())
TENSOR_GETTER(aoti_torch_is_contiguous, bool, true)
TENSOR_GETTER(torch_get_const_data_ptr, const void*, tensor->data.get())
TENSOR_GETTER(torch_get_mutable_data_ptr, void*, tensor->data.get())
#undef TENSOR_GETTER

AOTITorchError aoti_torch_get_size(AtenTensorHandle tensor, int64_t dimension, int64_t* size) {
  const int64_t dimensions = static_cast<int64_t>(tensor->sizes.size());
  if (dimension < 0) dimension += dimensions;
  if (dimension < 0 || dimension >= dimensions) return kFailed;
  *size = tensor->sizes[dimension];
  return kDone;
}

// Lists and strings.

AOTITorchError torch_new_list_reserve_size(size_t size, StableListHandle* made) {
  *made = new StableListOpaque;
  (*made)->items.reserve(size);
  return kDone;
}

AOTITorchError torch_list_size(StableListHandle list, size_t* size) {
  *size = list->items.size();
  return kDone;
}

AOTITorchError torch_list_get_item(StableListHandle list, size_t index, StableIValue* item) {
  if (index >= list->items.size()) return kFailed;
  *item = list->items[index];
  return kDone;
}

AOTITorchError torch_list_push_back(StableListHandle list, StableIValue item) {
  list->items.push_back(item);
  return kDone;
}

AOTITorchError torch_delete_list(StableListHandle list) {
  delete list;
  return kDone;
}

AOTITorchError torch_new_string_handle(const char* data, size_t length, StringHandle* made) {
  *made = new StringOpaque{{data, length}};
  return kDone;
}

AOTITorchError torch_delete_string(StringHandle string) {
  delete string;
  return kDone;
}

AOTITorchError torch_string_length(StringHandle string, size_t* length) {
  *length = string->text.size();
  return kDone;
}

AOTITorchError torch_string_c_str(StringHandle string, const char** data) {
  *data = string->text.c_str();
  return kDone;
}

// Threads: this one.

AOTITorchError torch_parallel_for(int64_t begin, int64_t end, int64_t, ParallelFunc body, void* context) {
  if (begin < end) body(begin, end, context);
  return kDone;
}

AOTITorchError torch_get_num_threads(uint32_t* count) {
  *count = 1;
  return kDone;
}

}  // extern "C"
