// SPDX-License-Identifier: Apache-2.0
// The command line: parses arguments, runs one command, prints, and turns the outcome into an exit code.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "app.h"
#include "weft/driver/convert.h"

namespace {

std::atomic<bool> interrupted{false};

void on_interrupt(int) {
  // A second Ctrl-C ends at once.
  if (interrupted.exchange(true)) std::_Exit(130);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace weft;
  cli::App app;
  for (int i = 0; i < argc; ++i) app.command_line += (i == 0 ? "" : " ") + std::string(i == 0 ? "weft" : argv[i]);

  CLI::App root{"Weft turns a trained neural network into verified hardware.", "weft"};
  root.set_version_flag("--version", std::string(driver::kVersion));
  root.require_subcommand(1);
  root.get_formatter()->column_width(34);
  cli::add_inspect(root, app);
  cli::add_config(root, app);
  cli::add_convert(root, app);
  cli::add_predict(root, app);
  cli::add_compare(root, app);
  cli::add_verify(root, app);
  cli::add_export(root, app);
  cli::add_synth(root, app);
  cli::add_build(root, app);
  cli::add_cmvm(root, app);
  cli::add_information(root, app);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = root.exit(e);
    return code == 0 ? cli::kOk : cli::kUsage;
  }

  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  std::signal(SIGPIPE, SIG_IGN);
  diag::Engine engine;
  if (isatty(STDERR_FILENO) != 0 && !app.quiet) app.progress = std::make_unique<cli::TerminalProgress>();
  Context ctx{engine, app.progress.get(), &interrupted};
  ctx.threads = app.threads > 0 ? app.threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  ctx.seed = app.seed;

  int code = cli::kInternal;
  std::string bug;
  try {
    code = app.run(app, ctx);
  } catch (const std::bad_alloc&) {
    engine.report(Kind::LimitExceeded, {}, "out of memory");
    app.print(ctx, cli::Json::object(), "");
    code = cli::kFailed;
  } catch (const std::exception& e) {
    bug = e.what();
  }
  if (app.progress) app.progress->finish();
  for (const auto& d : engine.all()) {
    if (app.quiet && d.severity != diag::Severity::Error) continue;
    if (!app.verbose && d.severity == diag::Severity::Note && app.json) continue;
    std::fputs((diag::to_text(d) + "\n").c_str(), stderr);
  }
  // What only the command line can repair is wrong usage, wherever it was found.
  const auto all = engine.all();
  const bool usage = std::any_of(all.begin(), all.end(), [](const auto& d) { return d.kind == Kind::UsageInvalid; });
  if (code == cli::kFailed && usage && bug.empty()) return cli::kUsage;
  if (!bug.empty()) {
    std::fputs(("weft: " + bug + "\n").c_str(), stderr);
    return cli::kInternal;
  }
  return code;
}
