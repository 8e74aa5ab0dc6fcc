// SPDX-License-Identifier: Apache-2.0
// Adders of Xilinx cells at one LUT per bit, for the adder modules of circuits that alkaid and da4ml write, so that these can
// be mapped with them. The arithmetic is that of the formulas below; no text is theirs.

// y = s-chain: sum bit i = s[i] ^ carry, carry out = s[i] ? carry : d[i].
module bench_carry #(parameter W = 1, parameter CIN = 0) (input [W-1:0] s, input [W-1:0] d, output [W-1:0] y);
  localparam N = (W + 3) / 4;
  wire [4*N-1:0] sp = s;
  wire [4*N-1:0] dp = d;
  wire [4*N-1:0] o;
  wire [4*N-1:0] co;
  assign y = o[W-1:0];
  genvar i;
  generate
    for (i = 0; i < N; i = i + 1) begin : four
      if (i == 0) begin : first
        CARRY4 c (.CI(1'b0), .CYINIT(CIN != 0 ? 1'b1 : 1'b0), .S(sp[3:0]), .DI(dp[3:0]), .O(o[3:0]), .CO(co[3:0]));
      end else begin : next
        CARRY4 c (.CI(co[4*i-1]), .CYINIT(1'b0), .S(sp[4*i+3:4*i]), .DI(dp[4*i+3:4*i]), .O(o[4*i+3:4*i]), .CO(co[4*i+3:4*i]));
      end
    end
  endgenerate
endmodule

// x * 2^PAD, extended to W bits.
module bench_extend #(parameter B = 1, parameter SIGNED = 0, parameter PAD = 0, parameter W = 1)
                     (input [B-1:0] x, output [W-1:0] y);
  localparam T = (B + PAD > W ? B + PAD : W) + 1;
  wire top = SIGNED != 0 ? x[B-1] : 1'b0;
  wire [T-1:0] all;
  genvar i;
  generate
    for (i = 0; i < T; i = i + 1) begin : bits
      if (i < PAD) begin : low
        assign all[i] = 1'b0;
      end else if (i - PAD < B) begin : own
        assign all[i] = x[i-PAD];
      end else begin : high
        assign all[i] = top;
      end
    end
  endgenerate
  assign y = all[W-1:0];
endmodule

// out = (in0 +- in1 * 2^SHIFT1) over the finer of the two grids, without DROP_LSBS low bits, modulo 2^BW_OUT.
module bench_add2 #(parameter BW_INPUT0 = 1, parameter BW_INPUT1 = 1, parameter SIGNED0 = 0, parameter SIGNED1 = 0,
                    parameter BW_OUT = 1, parameter DROP_LSBS = 0, parameter SHIFT1 = 0, parameter IS_SUB = 0)
                   (input [BW_INPUT0-1:0] in0, input [BW_INPUT1-1:0] in1, output [BW_OUT-1:0] out);
  localparam W = BW_OUT + DROP_LSBS;
  localparam PAD0 = SHIFT1 < 0 ? -SHIFT1 : 0;
  localparam PAD1 = SHIFT1 > 0 ? SHIFT1 : 0;
  // Low bits that only a positive operand reaches are wires.
  localparam FREE = SHIFT1 > 0 ? SHIFT1 : (IS_SUB == 0 ? -SHIFT1 : 0);
  localparam L = FREE < W ? FREE : W;
  // Nothing above the free bits of one operand, and the other is added: wires only.
  localparam BESIDE = IS_SUB == 0 && ((SHIFT1 > 0 && SIGNED0 == 0 && BW_INPUT0 <= SHIFT1) ||
                                      (SHIFT1 < 0 && SIGNED1 == 0 && BW_INPUT1 <= -SHIFT1));
  wire [W-1:0] a;
  wire [W-1:0] b;
  wire [W-1:0] y;
  bench_extend #(BW_INPUT0, SIGNED0, PAD0, W) extend0 (in0, a);
  bench_extend #(BW_INPUT1, SIGNED1, PAD1, W) extend1 (in1, b);
  generate
    if (BESIDE || L == W) begin : wires
      assign y = a | b;
    end else begin : chain
      if (L > 0) begin : low
        assign y[L-1:0] = SHIFT1 > 0 ? a[L-1:0] : b[L-1:0];
      end
      bench_carry #(W - L, IS_SUB) carry (.s(a[W-1:L] ^ b[W-1:L] ^ {(W-L){IS_SUB != 0}}), .d(a[W-1:L]), .y(y[W-1:L]));
    end
  endgenerate
  assign out = y[W-1:DROP_LSBS];
endmodule
