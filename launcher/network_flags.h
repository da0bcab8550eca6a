// Flags about files with networks, which several verbs have.
#pragma once

#include <string>
#include <vector>

#include "launcher/command_line.h"
#include "launcher/exchange/open_network.h"

namespace convoy {

Hdf5Options hdf5_options(const CommandLine& line);  // --unsafe_import

// --model_file, --preprocessing, --shape, --ema, --partial and --unsafe_import, of which a verb may lack some.  Throws
// Error(kUsage).
NetworkOptions network_options(const CommandLine& line);

// The overrides of the line, --shape among them: for model files and experiments it is data.shape.
std::vector<std::string> with_shape(const CommandLine& line);

}  // namespace convoy
