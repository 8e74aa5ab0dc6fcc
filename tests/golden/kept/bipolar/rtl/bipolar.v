// bipolar: parallel pipeline of network `bipolar`.
//
// Latency 4 cycles: an input sampled at one rising edge of clk gives an output that can be sampled
// 4 edges later. A new input every cycle. Made for 5 ns on xcvu9p-flga2104-2L-e; the delay model says 4.981 ns.
// Element 0 stands in the low bits of each port; every element of a port has the same width and holds an integer
// code, two's complement where signed. Real value = scale * code.
//   in_x: 8 x 2 bits signed, shape [8], scale 1
//   out_matmul_6: 5 x 6 bits signed, shape [5], scale 1/4
//   out_argmax_7: 1 x 3 bits unsigned, shape [], scale 1
//   out_topk_8_1: 2 x 3 bits unsigned, shape [2], scale 1
// rst (synchronous, active high) clears the valid bits only; data need no reset.
module bipolar (
  input  wire clk,
  input  wire rst,
  input  wire in_valid,
  input  wire [15:0] in_x,
  output wire out_valid,
  output wire [29:0] out_matmul_6,
  output wire [2:0] out_argmax_7,
  output wire [5:0] out_topk_8_1);

  // One bit per register stage.
  reg [3:0] valid;
  assign out_valid = valid[3];
  wire [12:0] x;
  bipolar_x u_x (
    .clk(clk),
    .in_x(in_x),
    .result(x));
  wire [35:0] matmul_2;
  bipolar_matmul_2 u_matmul_2 (
    .clk(clk),
    .from_x(x),
    .result(matmul_2));
  wire [16:0] multithreshold_4;
  bipolar_multithreshold_4 u_multithreshold_4 (
    .clk(clk),
    .from_matmul_2(matmul_2),
    .result(multithreshold_4));
  wire [23:0] matmul_6;
  bipolar_matmul_6 u_matmul_6 (
    .clk(clk),
    .from_multithreshold_4(multithreshold_4),
    .result(matmul_6));
  wire [66:0] argmax_7;
  bipolar_argmax_7 u_argmax_7 (
    .clk(clk),
    .from_matmul_6(matmul_6),
    .result(argmax_7));
  wire [2:0] topk_8;
  bipolar_topk_8 u_topk_8 (
    .clk(clk),
    .from_argmax_7(argmax_7),
    .result(topk_8));
  assign out_matmul_6 = {argmax_7[57:52], argmax_7[45:40], argmax_7[33:28], argmax_7[21:16], argmax_7[9],
      argmax_7[9:5]};
  assign out_argmax_7 = argmax_7[66:64];
  assign out_topk_8_1 = {topk_8[2:0], argmax_7[66:64]};

  always @(posedge clk) begin
    if (rst) begin
      valid <= 4'd0;
    end else begin
      valid <= {valid[2:0], in_valid};
    end
  end

endmodule
