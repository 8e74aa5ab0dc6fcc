// SPDX-License-Identifier: Apache-2.0
/// @file
/// Runs a plan on one block of samples.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "weft/emulate/emulator.h"
#include "weft/emulate/plan.h"

namespace weft::emulate {

/// Whether `code` is one that the conversion of graph input `input` can give for this element.
bool is_input_code(const exact::Graph& graph, std::size_t input, std::size_t element, std::int64_t code);

/// One thread's memory and counters.
class Worker {
 public:
  /// Either `reals` or `codes` has one pointer per graph input; outputs point at whole batches.
  Worker(const exact::Graph& graph, const Kernels& kernels, const Plan& plan, const std::vector<const float*>& reals,
         const std::vector<const std::int64_t*>& codes, const std::vector<std::int64_t*>& outputs);
  /// Samples [first, first + count), count <= plan.lanes. False when an input holds what it may not: NaN, infinity, or
  /// a code out of range.
  bool run(std::size_t first, std::size_t count);
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  struct Execute;
  [[nodiscard]] Lanes lanes(const Buffer& buffer) const;
  template <class T>
  [[nodiscard]] T* at(const Buffer& buffer) const;
  bool read(const InputStep& step);
  void run_plain_step(const PlainStep& step);

  const exact::Graph& graph_;
  const Kernels& kernels_;
  const Plan& plan_;
  const std::vector<const float*>& reals_;
  const std::vector<const std::int64_t*>& codes_;
  const std::vector<std::int64_t*>& outputs_;
  struct Deleter {
    void operator()(unsigned char* p) const;
  };
  std::unique_ptr<unsigned char, Deleter> scratch_;
  std::unique_ptr<unsigned char, Deleter> rows_;
  std::vector<std::int64_t> slow_codes_;
  std::vector<Epilogue> epilogues_;
  std::vector<std::vector<WideFunction>> functions_;
  Counters counters_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace weft::emulate
