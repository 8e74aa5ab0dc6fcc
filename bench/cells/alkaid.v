// SPDX-License-Identifier: Apache-2.0
// The adder modules of circuits that alkaid writes, made of the cells of carry_adders.v. Parameters are positional there.
module shift_adder #(parameter BW_INPUT0 = 1, parameter BW_INPUT1 = 1, parameter SIGNED0 = 0, parameter SIGNED1 = 0,
                     parameter BW_OUT = 1, parameter DROP_LSBS = 0, parameter SHIFT1 = 0, parameter IS_SUB = 0)
                    (input [BW_INPUT0-1:0] in0, input [BW_INPUT1-1:0] in1, output [BW_OUT-1:0] out);
  bench_add2 #(BW_INPUT0, BW_INPUT1, SIGNED0, SIGNED1, BW_OUT, DROP_LSBS, SHIFT1, IS_SUB) add (in0, in1, out);
endmodule

// out = sum of +-in * 2^PAD without DROP_LSBS low bits, modulo 2^BW_OUT: one LUT6_2 per bit gives a ^ b ^ c and their
// majority, which is the second operand of the chain one bit further up. Up to two operands are negative: each adds its
// 1 at the lowest bit, in the free second operand there and in the carry.
module ternary_adder #(parameter BW_INPUT0 = 1, parameter SIGNED0 = 0, parameter NEGATE0 = 0, parameter PAD0 = 0,
                    parameter BW_INPUT1 = 1, parameter SIGNED1 = 0, parameter NEGATE1 = 0, parameter PAD1 = 0,
                    parameter BW_INPUT2 = 1, parameter SIGNED2 = 0, parameter NEGATE2 = 0, parameter PAD2 = 0,
                    parameter BW_OUT = 1, parameter DROP_LSBS = 0)
                   (input [BW_INPUT0-1:0] in0, input [BW_INPUT1-1:0] in1, input [BW_INPUT2-1:0] in2,
                    output [BW_OUT-1:0] out);
  localparam W = BW_OUT + DROP_LSBS;
  localparam LOW01 = PAD0 < PAD1 ? PAD0 : PAD1;
  localparam LOW = LOW01 < PAD2 ? LOW01 : PAD2;
  // The lowest bit of the two other operands, for each operand.
  localparam NEXT0 = PAD1 < PAD2 ? PAD1 : PAD2;
  localparam NEXT1 = PAD0 < PAD2 ? PAD0 : PAD2;
  localparam NEXT2 = LOW01;
  localparam START = (PAD0 < NEXT0 && NEGATE0 == 0) ? NEXT0 : (PAD1 < NEXT1 && NEGATE1 == 0) ? NEXT1
                     : (PAD2 < NEXT2 && NEGATE2 == 0) ? NEXT2 : LOW;
  localparam L = START < W ? START : W;
  localparam NEGATIVE = (NEGATE0 != 0 ? 1 : 0) + (NEGATE1 != 0 ? 1 : 0) + (NEGATE2 != 0 ? 1 : 0);
  wire [W-1:0] a;
  wire [W-1:0] b;
  wire [W-1:0] c;
  wire [W-1:0] y;
  bench_extend #(BW_INPUT0, SIGNED0, PAD0, W) extend0 (in0, a);
  bench_extend #(BW_INPUT1, SIGNED1, PAD1, W) extend1 (in1, b);
  bench_extend #(BW_INPUT2, SIGNED2, PAD2, W) extend2 (in2, c);
  // Index bits: I0 a, I1 b, I2 c, I3 the majority below, I4 0; upper half O6, lower half O5.
  function [63:0] table_of;
    input [2:0] negate;
    integer k;
    reg x0, x1, x2;
    begin
      for (k = 0; k < 32; k = k + 1) begin
        x0 = k[0] ^ negate[0];
        x1 = k[1] ^ negate[1];
        x2 = k[2] ^ negate[2];
        table_of[k] = (x0 & x1) | (x0 & x2) | (x1 & x2);
        table_of[k+32] = x0 ^ x1 ^ x2 ^ k[3];
      end
    end
  endfunction
  localparam [2:0] NEGATES = {NEGATE2 != 0 ? 1'b1 : 1'b0, NEGATE1 != 0 ? 1'b1 : 1'b0, NEGATE0 != 0 ? 1'b1 : 1'b0};
  localparam [63:0] TABLE = table_of(NEGATES);
  genvar i;
  generate
    if (L > 0) begin : low
      assign y[L-1:0] = a[L-1:0] | b[L-1:0] | c[L-1:0];
    end
    if (L < W && NEGATIVE == 3) begin : plain
      assign y[W-1:L] = -(a[W-1:L] + b[W-1:L] + c[W-1:L]);
    end else if (L < W) begin : chain
      wire [W:L] m;
      wire [W-1:L] s;
      assign m[L] = NEGATIVE > 0 ? 1'b1 : 1'b0;
      for (i = L; i < W; i = i + 1) begin : bits
        LUT6_2 #(.INIT(TABLE)) lut (.I0(a[i]), .I1(b[i]), .I2(c[i]), .I3(m[i]), .I4(1'b0), .I5(1'b1), .O6(s[i]), .O5(m[i+1]));
      end
      bench_carry #(W - L, NEGATIVE > 1) carry (.s(s), .d(m[W-1:L]), .y(y[W-1:L]));
    end
  endgenerate
  assign out = y[W-1:DROP_LSBS];
endmodule
