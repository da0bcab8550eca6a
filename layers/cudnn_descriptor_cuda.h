// A descriptor of cuDNN's graph API: a set of attributes that cuDNN checks when it is complete.
#pragma once

#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/device/handle.h"
#include "layers/engines_cuda.h"

namespace convoy {

// Not of pointers: descriptors and device memory are both void*.
template <class T>
constexpr cudnnBackendAttributeType_t attribute_type() {
  if constexpr (std::is_same_v<T, int64_t>) return CUDNN_TYPE_INT64;
  if constexpr (std::is_same_v<T, float>) return CUDNN_TYPE_FLOAT;
  if constexpr (std::is_same_v<T, bool>) return CUDNN_TYPE_BOOLEAN;
  if constexpr (std::is_same_v<T, cudnnHandle_t>) return CUDNN_TYPE_HANDLE;
  if constexpr (std::is_same_v<T, cudnnDataType_t>) return CUDNN_TYPE_DATA_TYPE;
  if constexpr (std::is_same_v<T, cudnnConvolutionMode_t>) return CUDNN_TYPE_CONVOLUTION_MODE;
  if constexpr (std::is_same_v<T, cudnnPointwiseMode_t>) return CUDNN_TYPE_POINTWISE_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendHeurMode_t>) return CUDNN_TYPE_HEUR_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendNumericalNote_t>) return CUDNN_TYPE_NUMERICAL_NOTE;
}

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) { check(cudnnBackendCreateDescriptor(type, handle_.out())); }
  cudnnBackendDescriptor_t get() const { return handle_.get(); }

  Descriptor&& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                   const void* values) && {
    check(cudnnBackendSetAttribute(get(), name, type, count, values));
    return std::move(*this);
  }
  template <class T>
  Descriptor&& set(cudnnBackendAttributeName_t name, std::initializer_list<T> values) && {
    return std::move(*this).set(name, attribute_type<T>(), std::ssize(values), values.begin());
  }
  template <class T>
  Descriptor&& set(cudnnBackendAttributeName_t name, const T& value) && {
    return std::move(*this).set(name, attribute_type<T>(), 1, &value);
  }
  Descriptor&& set(cudnnBackendAttributeName_t name, const Descriptor& value) && {
    return std::move(*this).set(name, std::vector{value.get()});
  }
  Descriptor&& set(cudnnBackendAttributeName_t name, const std::vector<cudnnBackendDescriptor_t>& values) && {
    return std::move(*this).set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::ssize(values), values.data());
  }
  Descriptor&& finalize() && {
    check(cudnnBackendFinalize(get()));
    return std::move(*this);
  }
  // For what cuDNN may not support: false then.
  bool try_finalize() { return cudnnBackendFinalize(get()) == CUDNN_STATUS_SUCCESS; }

  // Writes at most `most` values and returns how many there are.
  int64_t read(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most, void* values) const {
    int64_t count = 0;
    check(cudnnBackendGetAttribute(get(), name, type, most, &count, values));
    return count;
  }
  template <class T>
  T read(cudnnBackendAttributeName_t name) const {
    T value{};
    read(name, attribute_type<T>(), 1, &value);
    return value;
  }

 private:
  Handle<cudnnBackendDescriptor_t, cudnnBackendDestroyDescriptor> handle_;
};

}  // namespace convoy
