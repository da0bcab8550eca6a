#include "tests/cuda_on_cpu/fibre.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <new>

// There where a sanitizer is.
extern "C" {
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t bytes);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, std::size_t* bytes);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void* begin, std::size_t bytes);
__attribute__((weak)) void* __tsan_get_current_fiber();
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_destroy_fiber(void* fibre);
__attribute__((weak)) void __tsan_switch_to_fiber(void* fibre, unsigned flags);
}

namespace convoy::cuda_on_cpu {
namespace {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr std::size_t kPage = 4096, kStack = 256 * 1024;  // touched as far as it is used

}  // namespace

struct FibreStart {
  static void enter(transfer_t from) {
    auto* fibre = static_cast<Fibre*>(from.data);
    if (__sanitizer_finish_switch_fiber != nullptr) {
      __sanitizer_finish_switch_fiber(nullptr, &fibre->caller_stack_, &fibre->caller_stack_bytes_);
    }
    fibre->caller_ = from.fctx;
    fibre->body_();
  }
};

Fibre::Fibre(void (*body)()) : body_(body) {
  void* memory = mmap(nullptr, kPage + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kPage, PROT_NONE);
  stack_ = static_cast<std::byte*>(memory) + kPage;
  context_ = make_fcontext(static_cast<std::byte*>(stack_) + kStack, kStack, FibreStart::enter);
  if (__tsan_create_fiber != nullptr) tsan_ = __tsan_create_fiber(0);
}

Fibre::~Fibre() {
  if (tsan_ != nullptr) __tsan_destroy_fiber(tsan_);
  if (__asan_unpoison_memory_region != nullptr) __asan_unpoison_memory_region(stack_, kStack);
  munmap(static_cast<std::byte*>(stack_) - kPage, kPage + kStack);
}

void Fibre::resume() {
  void* fake_stack = nullptr;
  if (tsan_ != nullptr) {
    tsan_caller_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_, 0);
  }
  if (__sanitizer_start_switch_fiber != nullptr) __sanitizer_start_switch_fiber(&fake_stack, stack_, kStack);
  context_ = jump_fcontext(context_, this).fctx;
  if (__sanitizer_finish_switch_fiber != nullptr) __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
}

void Fibre::pause() {
  void* fake_stack = nullptr;
  if (tsan_ != nullptr) __tsan_switch_to_fiber(tsan_caller_, 0);
  if (__sanitizer_start_switch_fiber != nullptr) {
    __sanitizer_start_switch_fiber(&fake_stack, caller_stack_, caller_stack_bytes_);
  }
  caller_ = jump_fcontext(caller_, nullptr).fctx;
  if (__sanitizer_finish_switch_fiber != nullptr) {
    __sanitizer_finish_switch_fiber(fake_stack, &caller_stack_, &caller_stack_bytes_);
  }
}

}  // namespace convoy::cuda_on_cpu
