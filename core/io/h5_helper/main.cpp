// convoy-h5 read|write [--unsafe]      started by Convoy: descriptor 0 is the HDF5 file, 1 the line to Convoy
// convoy-h5 try WALL WHAT              see trial.h; ends with the error number
//
// The only program that runs libhdf5.  It takes an open file and locks itself up before it looks into it.
#include <hdf5.h>

#include <span>
#include <string>
#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/io/h5_helper/line.h"
#include "core/io/h5_helper/lockup.h"
#include "core/io/h5_helper/reader.h"
#include "core/io/h5_helper/trial.h"
#include "core/io/h5_helper/writer.h"

namespace {

using namespace convoy;

int64_t file_bytes() {
  struct stat status = {};
  if (::fstat(STDIN_FILENO, &status) != 0 || !S_ISREG(status.st_mode))
    throw Error(ExitCode::kUsage, "convoy-h5 is started by convoy, with a file");
  return status.st_size;
}

void lock_up(h5::Direction direction, int64_t bytes, bool is_unsafe) {
  try {
    h5::forbid_paths_and_network();
  } catch (const Error&) {
    if (!is_unsafe) throw;
  }
  h5::limit_resources(direction, bytes);
  try {
    h5::forbid_system_calls(direction);
  } catch (const Error&) {
    if (!is_unsafe) throw;
  }
}

void work(h5::Direction direction, int64_t bytes, h5::Line& line, Hdf5Encoder& answer) {
  ::H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  ::H5PLset_loading_state(0);  // no plugins
  if (direction == h5::Direction::kRead) return h5::read_all(bytes, answer);
  Hdf5Decoder request(line, int64_t{1} << 60, "what is to be written");  // from Convoy itself
  h5::write_all(request);
  answer.group({"/", {}});
  answer.end();
}

int serve(h5::Direction direction, bool is_unsafe) {
  h5::Line line;
  Hdf5Encoder answer(line);
  try {
    const int64_t bytes = file_bytes();
    lock_up(direction, bytes, is_unsafe);
    work(direction, bytes, line, answer);
    return 0;
  } catch (const Error& error) {
    answer.error(static_cast<int>(error.code()), error.what());
    return 0;
  } catch (const std::exception& error) {  // such as no memory
    answer.error(static_cast<int>(ExitCode::kBadData), std::string("cannot be handled: ") + error.what());
    return 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string verb = arguments.empty() ? "" : arguments[0];
  h5::leave_everything();
  // Without handlers for the end: they may do what is not allowed any more.
  if (verb == "try" && arguments.size() == 3) ::_exit(h5::attempt(arguments[1], arguments[2]));
  const bool is_unsafe = arguments.size() == 2 && arguments[1] == "--unsafe";
  if ((verb != "read" && verb != "write") || (arguments.size() != 1 && !is_unsafe))
    ::_exit(static_cast<int>(ExitCode::kUsage));
  ::_exit(serve(verb == "read" ? h5::Direction::kRead : h5::Direction::kWrite, is_unsafe));
}
