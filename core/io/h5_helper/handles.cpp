#include "core/io/h5_helper/handles.h"

#include "core/base/error.h"

namespace convoy::h5 {
namespace {

// The innermost entry of libhdf5's stack of errors is the cause.
herr_t keep_last(unsigned, const H5E_error2_t* error, void* text) {
  if (error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

}  // namespace

void fail(const std::string& where, const std::string& what) {
  std::string cause;
  ::H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_last, &cause);
  bad_data(where, what + (cause.empty() ? "" : " (libhdf5: " + cause + ")"));
}

}  // namespace convoy::h5
