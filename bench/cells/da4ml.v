// SPDX-License-Identifier: Apache-2.0
// The adder module of circuits that da4ml writes, made of the cells of carry_adders.v. Parameters are positional there.
module shift_adder #(parameter BW_INPUT0 = 1, parameter BW_INPUT1 = 1, parameter SIGNED0 = 0, parameter SIGNED1 = 0,
                     parameter BW_OUT = 1, parameter SHIFT1 = 0, parameter IS_SUB = 0)
                    (input [BW_INPUT0-1:0] in0, input [BW_INPUT1-1:0] in1, output [BW_OUT-1:0] out);
  bench_add2 #(BW_INPUT0, BW_INPUT1, SIGNED0, SIGNED1, BW_OUT, 0, SHIFT1, IS_SUB) add (in0, in1, out);
endmodule
