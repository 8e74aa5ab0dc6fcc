// SPDX-License-Identifier: Apache-2.0
// The adder modules of circuits that alkaid writes, made of the cells of carry_adders.v. Parameters are positional there.
module shift_adder #(parameter BW_INPUT0 = 1, parameter BW_INPUT1 = 1, parameter SIGNED0 = 0, parameter SIGNED1 = 0,
                     parameter BW_OUT = 1, parameter DROP_LSBS = 0, parameter SHIFT1 = 0, parameter IS_SUB = 0)
                    (input [BW_INPUT0-1:0] in0, input [BW_INPUT1-1:0] in1, output [BW_OUT-1:0] out);
  bench_add2 #(BW_INPUT0, BW_INPUT1, SIGNED0, SIGNED1, BW_OUT, DROP_LSBS, SHIFT1, IS_SUB) add (in0, in1, out);
endmodule

module ternary_adder #(parameter BW_INPUT0 = 1, parameter SIGNED0 = 0, parameter NEGATE0 = 0, parameter PAD0 = 0,
                       parameter BW_INPUT1 = 1, parameter SIGNED1 = 0, parameter NEGATE1 = 0, parameter PAD1 = 0,
                       parameter BW_INPUT2 = 1, parameter SIGNED2 = 0, parameter NEGATE2 = 0, parameter PAD2 = 0,
                       parameter BW_OUT = 1, parameter DROP_LSBS = 0)
                      (input [BW_INPUT0-1:0] in0, input [BW_INPUT1-1:0] in1, input [BW_INPUT2-1:0] in2,
                       output [BW_OUT-1:0] out);
  bench_add3 #(BW_INPUT0, SIGNED0, NEGATE0, PAD0, BW_INPUT1, SIGNED1, NEGATE1, PAD1, BW_INPUT2, SIGNED2, NEGATE2, PAD2,
               BW_OUT, DROP_LSBS) add (in0, in1, in2, out);
endmodule
