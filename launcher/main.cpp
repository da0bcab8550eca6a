// convoy: reads the command line, runs the verb, and turns whatever goes wrong into one message and an exit code.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "core/base/log.h"
#include "dist/agreement.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/signals.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

int report(const Failure& failure, int rank = CollectiveError::kEveryRank) {
  Log(LogLevel::kInfo, rank).error(failure.text);
  return static_cast<int>(failure.code);
}

int run_parallel(const Arguments& arguments) {
  MpiSession session;
  const bool speaks = session.rank() == 0;
  try {
    CommandLine line;
    run_on_all_ranks(session, [&] { line = parse_command_line(arguments); });
    run_on_all_ranks(session, [&] { agree(session, {{"command", command_of(line)}}); });
    if (speaks && geteuid() == 0) Log(LogLevel::kInfo).warning("running as root, which nothing in Convoy needs");
    if (line.verb == "train") return train_command(line, session);
    if (line.verb == "predict") return predict_command(line, session);
    return line.verb == "eval" ? eval_command(line, session) : bench_command(line, session);
  } catch (const CollectiveError& error) {
    for (const auto& [rank, text] : error.reports()) {
      if (speaks) report({error.code(), text}, rank);
    }
    return static_cast<int>(error.code());
  } catch (...) {
    const Failure failure = current_failure();
    if (session.size() == 1) return report(failure);
    report(failure, session.rank());
    session.abort(failure.code);
  }
}

// A rank of mpirun or srun that needs no other: rank 0 writes the file, and does it once.
bool leaves_it_to_rank_0(const CommandLine& line) {
  if (line.verb != "convert" && line.verb != "data") return false;
  const char* const name = rank_variable();
  const int rank = name == nullptr ? 0 : std::atoi(std::getenv(name));
  if (rank == 0) return false;
  Log(LogLevel::kInfo, rank).warning(line.verb + " is work for one process: left to rank 0 (" + name + ")");
  return true;
}

// What was asked for and did not arrive is an error; progress lines of a training run are not.
int check_output(int code) {
  const bool arrived = std::fflush(stdout) == 0 && std::cout.flush();
  return arrived || code != 0 ? code : report({ExitCode::kIo, "standard output: cannot write"});
}

int run(const Arguments& arguments) {
  const std::string first = arguments.empty() ? "" : arguments.front();
  const bool help = std::ranges::count(arguments, "--help") > 0;
  const bool parallel = first == "train" || first == "eval" || first == "bench" || first == "predict";
  if (parallel && !help) return run_parallel(arguments);
  if (first == "--version") return version_command();
  if (first == "--help") return std::cout << help_text(), 0;
  const CommandLine line = parse_command_line(arguments);
  if (line.help) return std::cout << help_text(line.verb), 0;
  if (leaves_it_to_rank_0(line)) return 0;
  if (line.verb == "data") return data_command(line);
  if (line.verb == "convert") return convert_command(line);
  return line.verb == "inspect" ? inspect_command(line) : config_command(line);
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) try {
  convoy::end_without_remains();
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const int code = convoy::run(arguments);
  return !arguments.empty() && arguments.front() == "train" ? code : convoy::check_output(code);
} catch (...) {
  return convoy::report(convoy::current_failure());
}
