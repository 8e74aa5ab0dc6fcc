// SPDX-License-Identifier: Apache-2.0
// The plain engine: every corpus file as it is, then seeded mutations of them for a bounded time. An input that
// crashes, hangs or gives a wrong answer is written to a file and named; put it into crashers/<target>/ to keep it as a
// test.
//
//   fuzz_x [--seconds S] [--runs N] [--seed N] [--out DIR] FILE_OR_FOLDER...
//
// Compiled with WEFT_LIBFUZZER it has no main and serves libFuzzer instead.
#include "fuzz.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

// Bounds for sanitizer builds, where the address space cannot be limited: one allocation above 512 MB is a finding.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=512:hard_rss_limit_mb=3000:allocator_may_return_null=0:detect_stack_use_after_return="
         "0";
}
extern "C" const char* __ubsan_default_options();
extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1"; }
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace weft::fuzz {

Session::Session() : ctx{engine} {
  ctx.limits.file_bytes = std::uint64_t{1} << 24;
  ctx.limits.unpacked_bytes = std::uint64_t{1} << 26;
  ctx.limits.archive_entries = 1024;
  ctx.limits.tensor_elements = std::uint64_t{1} << 22;
  ctx.limits.json_depth = 128;
}

void check_reported(bool ok, const Session& session) {
  if (ok && session.engine.has_errors()) throw Finding{"succeeded, and reported an error"};
  if (!ok && !session.engine.has_errors()) throw Finding{"failed without a diagnostic"};
}

}  // namespace weft::fuzz

#ifdef WEFT_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  try {
    weft::fuzz::kTarget.run(std::string(reinterpret_cast<const char*>(data), size));
  } catch (const weft::fuzz::Finding& finding) {
    std::fprintf(stderr, "%s\n", finding.what.c_str());
    std::abort();
  }
  return 0;
}

#else

namespace {

namespace fs = std::filesystem;

constexpr unsigned kSecondsPerInput = 20;

// Global because a signal handler has nothing else.
const std::string* g_current = nullptr;
char g_out[4096] = "fuzz_finding.bin";
char g_label[256] = "";

void write_text(const char* text) { (void)!write(STDERR_FILENO, text, std::strlen(text)); }

void save_current() {
  if (g_current == nullptr) return;
  const int file = open(g_out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0) {
    (void)!write(file, g_current->data(), g_current->size());
    close(file);
  }
  write_text("\nfinding: ");
  write_text(g_label);
  write_text(", input written to ");
  write_text(g_out);
  write_text("\n");
  g_current = nullptr;
}

void on_signal(int number) {
  write_text(number == SIGALRM ? "\ntoo slow" : "\nsignal");
  save_current();
  _exit(1);
}

bool run_one(const std::string& input, const std::string& label) {
  g_current = &input;
  std::snprintf(g_label, sizeof g_label, "%s", label.c_str());
  alarm(kSecondsPerInput);
  bool accepted = false;
  try {
    accepted = weft::fuzz::kTarget.run(input);
  } catch (const weft::fuzz::Finding& finding) {
    std::fprintf(stderr, "wrong answer: %s\n", finding.what.c_str());
    save_current();
    std::exit(1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "exception: %s\n", error.what());
    save_current();
    std::exit(1);
  }
  alarm(0);
  g_current = nullptr;
  return accepted;
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 1;
  std::uint64_t runs = ~std::uint64_t{0};
  std::uint64_t seed = 1;
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const char* next = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--seconds") {
      seconds = std::atof(next), ++i;
    } else if (word == "--runs") {
      runs = std::strtoull(next, nullptr, 10), ++i;
    } else if (word == "--seed") {
      seed = std::strtoull(next, nullptr, 10), ++i;
    } else if (word == "--out") {
      std::snprintf(g_out, sizeof g_out, "%s/%s_finding.bin", next, std::string(weft::fuzz::kTarget.name).c_str()), ++i;
    } else if (fs::is_directory(word)) {
      for (const auto& entry : fs::recursive_directory_iterator(word))
        if (entry.is_regular_file()) files.push_back(entry.path());
    } else if (fs::exists(word)) {
      files.emplace_back(word);
    } else {
      std::fprintf(stderr, "no such file or folder: %s\n", word.c_str());
      return 2;
    }
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::fprintf(stderr, "the corpus is empty\n");
    return 2;
  }

  for (int number : {SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(number, on_signal);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(save_current);
  } else {
    const rlimit memory{std::uint64_t{2} << 30, std::uint64_t{2} << 30};
    setrlimit(RLIMIT_AS, &memory);
  }

  std::vector<std::string> corpus;
  std::size_t good_files = 0;
  for (const auto& path : files) {
    corpus.push_back(read(path));
    good_files += run_one(corpus.back(), path.string()) ? 1 : 0;
  }
  if (good_files == 0) {
    std::fprintf(stderr, "no file of the corpus is accepted: nothing behind the first check is reached\n");
    return 1;
  }
  std::mt19937_64 random(seed);
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t done = 0;
  std::uint64_t accepted = 0;
  for (; done < runs; ++done) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds) break;
    const std::string& base = corpus[random() % corpus.size()];
    const auto& target = weft::fuzz::kTarget;
    const bool special = target.mutate != nullptr && random() % 2 == 0;
    std::string input =
        special ? target.mutate(base, random) : weft::fuzz::mutate_bytes(base, random, target.dictionary);
    if (random() % 16 == 0) input = base.substr(0, random() % (base.size() + 1));
    accepted += run_one(input, "seed " + std::to_string(seed) + " run " + std::to_string(done)) ? 1 : 0;
  }
  std::printf("%.*s: %zu of %zu files and %llu of %llu mutations accepted, seed %llu, no finding\n",
              static_cast<int>(weft::fuzz::kTarget.name.size()), weft::fuzz::kTarget.name.data(), good_files,
              corpus.size(), static_cast<unsigned long long>(accepted), static_cast<unsigned long long>(done),
              static_cast<unsigned long long>(seed));
  return 0;
}

#endif
