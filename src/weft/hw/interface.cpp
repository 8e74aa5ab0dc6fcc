// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/interface.h"

#include "weft/fixed/rational.h"
#include "weft/support/json.h"

namespace weft::hw {

namespace {

support::Json describe(const Design& design, const PortPlan& port, const std::string& model_name) {
  const exact::Value& value = design.graph.at(port.value);
  support::Json json;
  json["port"] = port.name;
  json["name"] = model_name;
  json["value"] = value.name;
  json["shape"] = value.shape;
  json["width_bits"] = port.width_bits();
  json["elements"] = port.elements;
  json["element_width_bits"] = port.element_width_bits;
  json["signed"] = port.is_signed;
  support::Json scales = support::Json::array();
  for (const Rational& factor : value.scale.factors) scales.push_back(fixed::to_string(factor));
  json["scale"] = std::move(scales);
  support::Json fields = support::Json::array();
  for (std::int64_t e = 0; e < port.elements; ++e) {
    const fixed::Range& range = value.ranges[static_cast<std::size_t>(e)];
    support::Json field;
    field["offset_bits"] = e * port.element_width_bits;
    field["range"] = {fixed::to_string(range.lo), fixed::to_string(range.hi)};
    field["step_log2"] = range.step_log2;
    fields.push_back(std::move(field));
  }
  json["fields"] = std::move(fields);
  return json;
}

}  // namespace

std::string print_interface(const Design& design) {
  support::Json json;
  json["top"] = design.top;
  json["style"] = "parallel";
  json["order"] = "element 0 in the low bits";
  json["latency_cycles"] = design.latency_cycles;
  json["interval_cycles"] = design.interval_cycles;
  support::Json clock;
  clock["port"] = "clk";
  clock["edge"] = "rising";
  clock["target_ns"] = design.options.clock_ns;
  clock["predicted_ns"] = design.period_ns;
  json["clock"] = std::move(clock);
  json["reset"] = {{"port", "rst"}, {"active", "high"}, {"synchronous", true}, {"clears", "valid bits"}};
  if (design.options.clock_enable) json["clock_enable"] = "ce";
  if (design.options.valid) json["valid"] = {{"in", "in_valid"}, {"out", "out_valid"}};
  json["inputs"] = support::Json::array();
  for (std::size_t i = 0; i < design.inputs.size(); ++i) {
    json["inputs"].push_back(describe(design, design.inputs[i], design.graph.inputs[i].name));
  }
  json["outputs"] = support::Json::array();
  for (std::size_t i = 0; i < design.outputs.size(); ++i) {
    json["outputs"].push_back(describe(design, design.outputs[i], design.graph.outputs[i].name));
  }
  return support::dump_json(json) + "\n";
}

}  // namespace weft::hw
