// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/verilog/xilinx_cells.h"

#include <fmt/format.h>

#include "weft/hw/circuit.h"

// The adder of three operands in one carry chain. A LUT6_2 per bit gives the sum of three bits and the majority of the
// bit below (O6, which the chain's S takes) and their majority (O5), which is the second operand of the chain one bit
// up. Its parameters are those of netlist::ternary_chain.

namespace weft::backends::verilog {

std::string print_ternary_adder(const hw::Design& design) {
  const int bits = design.family.carry_cell_bits;
  std::string text = fmt::format(
      R"(// y = +-a +-b +-c modulo 2^WIDTH, one LUT6_2 per bit and a carry chain of CARRY{0}, for {1}.
// NEGATE: operands that are subtracted (bit 0 is a), at most two. Each adds 1 at the lowest bit: the first as CARRY into the
// chain, the second as SAVE, the free operand of the lowest bit. CELLS: positions at which two or three operands vary; the
// others are left to synthesis. From TOP on all operands repeat their last bit.
)",
      bits, design.family.title);
  text += fmt::format("module {} #(\n", hw::ternary_adder_name(design));
  text += R"(  parameter WIDTH = 1,
  parameter TOP = 1,
  parameter [WIDTH-1:0] CELLS = {WIDTH{1'b1}},
  parameter [2:0] NEGATE = 3'b000,
  parameter [0:0] CARRY = 1'b0,
  parameter [0:0] SAVE = 1'b0
) (
  input  wire [WIDTH-1:0] a,
  input  wire [WIDTH-1:0] b,
  input  wire [WIDTH-1:0] c,
  output wire [WIDTH-1:0] y);

  // I0 to I2 are the bits of the operands, I3 the majority below, I5 1. Low half: majority; high half: sum.
  function [63:0] lut_table;
    input [2:0] negate;
    integer k;
    reg [2:0] x;
    for (k = 0; k < 32; k = k + 1) begin
      x = k[2:0] ^ negate;
      lut_table[k] = (x[0] & x[1]) | (x[0] & x[2]) | (x[1] & x[2]);
      lut_table[k+32] = x[0] ^ x[1] ^ x[2] ^ k[3];
    end
  endfunction
)";
  // Wires per position instead of vectors that depend on themselves, which simulators settle slowly or not at all.
  text += fmt::format(
      R"(
  localparam [63:0] TABLE = lut_table(NEGATE);
  localparam CHAINS = (WIDTH + {0}) / {1};
  wire [WIDTH-1:0] s;
  wire [WIDTH-1:0] m;
  wire [{1}*CHAINS-1:0] sp = s;
  wire [{1}*CHAINS-1:0] mp = m;
  wire [{1}*CHAINS-1:0] o;
)",
      bits - 1, bits);
  text += R"(  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin : position
      wire below;
      wire sum;
      wire majority;
      if (i == 0) begin : first
        assign below = SAVE;
      end else begin : next
        assign below = position[i-1].majority;
      end
      if (i > TOP) begin : repeated
        assign sum = position[i-1].sum;
        assign majority = below;
      end else if (CELLS[i]) begin : both
        LUT6_2 #(.INIT(TABLE)) lut (
          .I0(a[i]), .I1(b[i]), .I2(c[i]), .I3(below), .I4(1'b0), .I5(1'b1), .O5(majority), .O6(sum));
      end else begin : plain
        assign sum = TABLE[{2'b10, below, c[i], b[i], a[i]}];
        assign majority = i == TOP ? below : TABLE[{2'b00, below, c[i], b[i], a[i]}];
      end
      assign s[i] = sum;
      assign m[i] = below;
    end
    for (i = 0; i < CHAINS; i = i + 1) begin : chain
)";
  text += fmt::format("      wire [{}:0] carry;\n", bits - 1);
  const std::string pins = fmt::format(
      ".DI(mp[{0}*i+{1}:{0}*i]), .S(sp[{0}*i+{1}:{0}*i]), .O(o[{0}*i+{1}:{0}*i]), .CO(carry)", bits, bits - 1);
  // A chain of CARRY4 begins through CYINIT.
  const std::string first = bits == 8 ? ".CI(CARRY), .CI_TOP(1'b0)" : ".CI(1'b0), .CYINIT(CARRY)";
  const std::string next =
      fmt::format(".CI(chain[i-1].carry[{}]), {}", bits - 1, bits == 8 ? ".CI_TOP(1'b0)" : ".CYINIT(1'b0)");
  text += fmt::format(
      "      if (i == 0) begin : first\n        CARRY{0} cells (\n          {1}, {2});\n"
      "      end else begin : next\n        CARRY{0} cells (\n          {3}, {2});\n      end\n",
      bits, first, pins, next);
  text += "    end\n  endgenerate\n  assign y = o[WIDTH-1:0];\n\nendmodule\n";
  return text;
}

std::string print_cell_models() {
  return R"(// What the Xilinx cells of rtl/ do, for simulation only; leave this file out where the vendor's library is read.
`ifndef WEFT_CELL_MODELS
`define WEFT_CELL_MODELS
`timescale 1ns / 1ps

module LUT6_2 #(parameter [63:0] INIT = 64'h0) (
  output wire O5, output wire O6, input wire I0, input wire I1, input wire I2, input wire I3, input wire I4, input wire I5);
  assign O6 = INIT[{I5, I4, I3, I2, I1, I0}];
  assign O5 = INIT[{1'b0, I4, I3, I2, I1, I0}];
endmodule

module LUT6 #(parameter [63:0] INIT = 64'h0) (
  output wire O, input wire I0, input wire I1, input wire I2, input wire I3, input wire I4, input wire I5);
  assign O = INIT[{I5, I4, I3, I2, I1, I0}];
endmodule

module CARRY4 (
  output wire [3:0] CO, output wire [3:0] O, input wire CI, input wire CYINIT, input wire [3:0] DI, input wire [3:0] S);
  wire c0 = CI | CYINIT;
  wire c1 = S[0] ? c0 : DI[0];
  wire c2 = S[1] ? c1 : DI[1];
  wire c3 = S[2] ? c2 : DI[2];
  wire c4 = S[3] ? c3 : DI[3];
  assign CO = {c4, c3, c2, c1};
  assign O = S ^ {c3, c2, c1, c0};
endmodule

// Eight bits in one chain; CI_TOP begins a second one in a mode that is not used.
module CARRY8 #(parameter CARRY_TYPE = "SINGLE_CY8") (
  output wire [7:0] CO, output wire [7:0] O, input wire CI, input wire CI_TOP, input wire [7:0] DI, input wire [7:0] S);
  wire [3:0] lower;
  wire [3:0] upper;
  CARRY4 low (.CO(lower), .O(O[3:0]), .CI(CI), .CYINIT(1'b0), .DI(DI[3:0]), .S(S[3:0]));
  CARRY4 high (.CO(upper), .O(O[7:4]), .CI(lower[3]), .CYINIT(1'b0), .DI(DI[7:4]), .S(S[7:4]));
  assign CO = {upper, lower};
endmodule
`endif
)";
}

}  // namespace weft::backends::verilog
