// Ranks as threads of one process, for tests: the algorithm of the shared window on ordinary memory, under TSan.
#pragma once

#include <functional>

#include "dist/communicator.h"

namespace convoy {

// Runs `body` on `size` threads, each with its own rank's communicator, and joins them.
// When a rank throws, ranks that wait for it get an Error, and its exception is rethrown here; of several, the lowest
// rank's.  Memory of the allocators lives until the call returns.  abort() ends the process.
// Requires: size >= 1.
void run_thread_group(int size, const std::function<void(Communicator&)>& body);

}  // namespace convoy
